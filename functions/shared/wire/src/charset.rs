use encoding_rs::Encoding;

/// The character set that the header of an answer states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

impl Charset {
    /// The charset of a `Content-Type`; `None` if it names none, or no known encoding.
    pub fn of_content_type(value: &str) -> Option<Self> {
        let mut parameters = value.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
        let (_, label) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
        encoding_of(label.trim().trim_matches(['"', '\'']).as_bytes()).map(Self)
    }

    pub(crate) fn encoding(self) -> &'static Encoding {
        self.0
    }
}

/// The encoding of this name: one of the web's, or one of Oracle's own, which its gateways send.
pub(crate) fn encoding_of(label: &[u8]) -> Option<&'static Encoding> {
    let known = ORACLE.iter().find(|(oracle, _)| oracle.as_bytes().eq_ignore_ascii_case(label.trim_ascii()));
    Encoding::for_label(known.map_or(label, |(_, label)| label.as_bytes()))
}

/// Oracle's names of character sets, with the web's.
const ORACLE: [(&str, &str); 29] = [
    ("AL32UTF8", "utf-8"),
    ("AL16UTF16", "utf-16be"),
    ("AL16UTF16LE", "utf-16le"),
    ("US7ASCII", "us-ascii"),
    ("WE8ISO8859P1", "iso-8859-1"),
    ("EE8ISO8859P2", "iso-8859-2"),
    ("SE8ISO8859P3", "iso-8859-3"),
    ("NEE8ISO8859P4", "iso-8859-4"),
    ("CL8ISO8859P5", "iso-8859-5"),
    ("AR8ISO8859P6", "iso-8859-6"),
    ("EL8ISO8859P7", "iso-8859-7"),
    ("IW8ISO8859P8", "iso-8859-8"),
    ("WE8ISO8859P9", "iso-8859-9"),
    ("NE8ISO8859P10", "iso-8859-10"),
    ("BLT8ISO8859P13", "iso-8859-13"),
    ("CEL8ISO8859P14", "iso-8859-14"),
    ("WE8ISO8859P15", "iso-8859-15"),
    ("EE8MSWIN1250", "windows-1250"),
    ("CL8MSWIN1251", "windows-1251"),
    ("WE8MSWIN1252", "windows-1252"),
    ("EL8MSWIN1253", "windows-1253"),
    ("TR8MSWIN1254", "windows-1254"),
    ("IW8MSWIN1255", "windows-1255"),
    ("AR8MSWIN1256", "windows-1256"),
    ("BLT8MSWIN1257", "windows-1257"),
    ("VN8MSWIN1258", "windows-1258"),
    ("CL8KOI8R", "koi8-r"),
    ("CL8KOI8U", "koi8-u"),
    ("TH8TISASCII", "tis-620"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_oracles_is_an_encoding() {
        for (oracle, label) in ORACLE {
            assert_eq!(encoding_of(oracle.as_bytes()), Encoding::for_label(label.as_bytes()), "{oracle}");
            assert!(encoding_of(oracle.as_bytes()).is_some(), "{oracle}");
        }
    }
}
