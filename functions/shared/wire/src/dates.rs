use jiff::civil::Date;

/// A date as `YYYY-MM-DD`, if the source's text is a real date in that form or as `MM/DD/YYYY`; otherwise the text as
/// it is. The source does not document its format.
pub(crate) fn date_or_text(text: &str) -> String {
    date(text).unwrap_or_else(|| text.to_owned())
}

/// Whether a text is a real date in the form `YYYY-MM-DD`.
pub(crate) fn is_date(text: &str) -> bool {
    date(text).as_deref() == Some(text)
}

fn date(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (year, month, day): (i16, i8, i8) = match bytes {
        [.., b'-', _, _, b'-', _, _] if bytes.len() == 10 => {
            (number(&bytes[..4])?, number(&bytes[5..7])?, number(&bytes[8..])?)
        }
        [_, _, b'/', _, _, b'/', ..] if bytes.len() == 10 => {
            (number(&bytes[6..])?, number(&bytes[..2])?, number(&bytes[3..5])?)
        }
        _ => return None,
    };
    let is_real = year > 0 && Date::new(year, month, day).is_ok();
    is_real.then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// A number of up to four digits.
fn number<N: TryFrom<i16>>(digits: &[u8]) -> Option<N> {
    let value =
        digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i16::from(digit - b'0')));
    value.and_then(|value| N::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_real_date_become_one() {
        assert_eq!(date_or_text("2024-02-29"), "2024-02-29");
        assert_eq!(date_or_text("02/29/2000"), "2000-02-29");
        assert_eq!(date_or_text("12/31/1999"), "1999-12-31");
    }

    #[test]
    fn what_is_no_real_date_in_these_forms_stays_as_it_is() {
        for text in [
            "2023-02-29",
            "02/29/1900",
            "13/01/2020",
            "2020-13-01",
            "2020-00-10",
            "2020-01-00",
            "0000-01-01",
            "1/2/2020",
            "2020-01-01T00:00:00",
            "31-JAN-20",
            "2020/01/01",
            "never",
            "",
            "２020-01-0",
            "20é-01-01",
        ] {
            assert_eq!(date_or_text(text), text);
        }
    }

    #[test]
    fn only_a_real_date_in_the_one_form_is_a_date() {
        for text in ["2024-02-29", "1900-01-01"] {
            assert!(is_date(text), "{text}");
        }
        for text in ["2023-02-29", "02/29/2024", "2024-2-9", "2024-02-29T00:00:00Z", "24-02-29", "soon", ""] {
            assert!(!is_date(text), "{text}");
        }
    }
}
