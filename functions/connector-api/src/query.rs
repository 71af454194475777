use crate::error::ApiError;

/// What a request to fetch asks for.
#[derive(Debug, Default)]
pub(crate) struct FetchQuery {
    /// The provider that asks.
    pub(crate) provider: Option<String>,
    /// The client that the records belong to.
    pub(crate) client_id: Option<String>,
    /// The club that the records belong to.
    pub(crate) club_id: Option<String>,
    /// Which record, by our id or by the sender's; without one, all of them.
    pub(crate) id: Option<String>,
    /// Where the page begins, as the page before said.
    pub(crate) cursor: Option<String>,
}

impl FetchQuery {
    /// Reads the parameters of a request. Their names match as those of elements do: whatever their case, and without
    /// `_`. The id may come as `uuid`, `recordID` or `identifier`: the source's documentation uses all three.
    pub(crate) fn read(parameters: Vec<(String, String)>) -> Result<Self, ApiError> {
        let mut query = Self::default();
        for (name, value) in parameters {
            let folded = name.replace('_', "").to_ascii_lowercase();
            let (known_as, field) = match folded.as_str() {
                "provider" => ("provider", &mut query.provider),
                "clientid" => ("client_id", &mut query.client_id),
                "clubid" => ("club_id", &mut query.club_id),
                "uuid" | "recordid" | "identifier" => ("uuid", &mut query.id),
                "cursor" => ("cursor", &mut query.cursor),
                _ => return Err(ApiError::invalid("the query has a parameter that is not known")),
            };
            if value.is_empty() {
                continue;
            }
            if field.replace(value).is_some() {
                return Err(ApiError::invalid(format!("the query parameter `{known_as}` is given twice")));
            }
        }
        Ok(query)
    }

    /// The values of these parameters, all of which are required.
    pub(crate) fn required<const N: usize>(parameters: [(&str, &Option<String>); N]) -> Result<[String; N], ApiError> {
        let missing: Vec<String> = parameters
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| format!("the query parameter `{name}` is missing"))
            .collect();
        if !missing.is_empty() {
            return Err(ApiError::invalid(missing.join("; ")));
        }
        Ok(parameters.map(|(_, value)| value.clone().unwrap_or_default()))
    }
}
