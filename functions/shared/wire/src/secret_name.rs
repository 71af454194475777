//! Names of elements and attributes that hold secrets, in every dialect.

/// Whether an element or attribute of this folded name holds a password, a PIN or the like. Its value is dropped as it
/// is read: no record, source text or error has it. A name about one, such as `passwordHint`, is data.
pub(crate) fn is_secret(folded: &str) -> bool {
    // Nearly every name is none, and its last letters show that: every tag is checked.
    match folded.as_bytes() {
        [.., b'w', b'd'] => folded.ends_with("passwd") || folded.ends_with("pwd"),
        [.., b'o', b'r', b'd'] => folded.ends_with("password"),
        [.., b'a', b's', b'e'] => folded.ends_with("passphrase"),
        [.., b'o', b'd', b'e'] => folded.ends_with("passcode") || folded.ends_with("pincode"),
        [.., b'i', b'n'] => matches!(
            folded,
            "pin"
                | "accesspin"
                | "accountpin"
                | "cardpin"
                | "customerpin"
                | "loginpin"
                | "memberpin"
                | "userpin"
                | "webpin"
        ),
        [.., b'e', b'r'] => matches!(folded, "pinnumber" | "secretanswer" | "securityanswer"),
        [b'p', .., b's'] => matches!(folded, "pass" | "passwords" | "pins"),
        _ => false,
    }
}

/// Whether the beginning of a tag that is too long to be read gives such an attribute. In doubt, it does.
pub(crate) fn has_secret_attribute(tag: &str) -> bool {
    let mut buffer = crate::name::NameBuffer::default();
    tag.match_indices('=').any(|(position, _)| {
        let before = tag[..position].trim_end();
        let name = before.rsplit([' ', '\t', '\r', '\n', '"', '\'', '<']).next();
        name.and_then(|name| buffer.read(name)).is_some_and(|(_, folded)| is_secret(folded))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_names_about_them() {
        for name in [
            "password",
            "loginpassword",
            "customerpassword",
            "passwd",
            "userpwd",
            "pwd",
            "pin",
            "customerpin",
            "pincode",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["passwordhint", "shipping", "pincushion", "compass", "address", "postcode", "hasnopin", "word", ""]
        {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn a_secret_among_the_attributes_of_a_long_tag_is_seen() {
        assert!(has_secret_attribute("<login a='x' Pass_Word = \"secret"));
        assert!(has_secret_attribute("<login x:pin='1"));
        assert!(!has_secret_attribute("<login a='password' b='pin"));
    }
}
