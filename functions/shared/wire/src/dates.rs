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
    let is_shaped = |shape: &[u8]| {
        let fits = |(byte, shape): (u8, &u8)| if *shape == b'9' { byte.is_ascii_digit() } else { byte == *shape };
        text.len() == shape.len() && text.bytes().zip(shape).all(fits)
    };
    let date = match () {
        () if is_shaped(b"9999-99-99") => text.to_owned(),
        () if is_shaped(b"99/99/9999") => [&text[6..], &text[..2], &text[3..5]].join("-"),
        () => return None,
    };
    date.parse::<Date>().is_ok_and(|date| date.year() > 0).then_some(date)
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
