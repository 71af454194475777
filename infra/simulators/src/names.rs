//! Names and addresses of simulated people. Written forms may need escaping; plain ones are ASCII.

/// A name as it is written, and as it stands in an e-mail address.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    pub(crate) written: &'static str,
    pub(crate) plain: &'static str,
}

const fn name(written: &'static str, plain: &'static str) -> Name {
    Name { written, plain }
}

/// From many parts of the world.
pub(crate) const FIRST_NAMES: [Name; 48] = [
    name("Zoë", "zoe"),
    name("José", "jose"),
    name("Jane", "jane"),
    name("Michael", "michael"),
    name("Aisha", "aisha"),
    name("Wei", "wei"),
    name("Siobhán", "siobhan"),
    name("Priya", "priya"),
    name("Łukasz", "lukasz"),
    name("Søren", "soren"),
    name("Fatima", "fatima"),
    name("Kwame", "kwame"),
    name("Yuki", "yuki"),
    name("Renée", "renee"),
    name("Björn", "bjorn"),
    name("Olga", "olga"),
    name("Đặng", "dang"),
    name("Maria", "maria"),
    name("Ibrahim", "ibrahim"),
    name("Anne-Marie", "anne-marie"),
    name("Chinedu", "chinedu"),
    name("Élodie", "elodie"),
    name("Tomás", "tomas"),
    name("Ingrid", "ingrid"),
    name("Haruto", "haruto"),
    name("Leilani", "leilani"),
    name("David", "david"),
    name("Ayşe", "ayse"),
    name("Dmitri", "dmitri"),
    name("Grace", "grace"),
    name("Nuno", "nuno"),
    name("Ewa", "ewa"),
    name("Carlos", "carlos"),
    name("Noor", "noor"),
    name("Patrick", "patrick"),
    name("Małgorzata", "malgorzata"),
    name("Samuel", "samuel"),
    name("Thuy", "thuy"),
    name("Emily", "emily"),
    name("Mateo", "mateo"),
    name("Ruth", "ruth"),
    name("Jürgen", "jurgen"),
    name("Adaeze", "adaeze"),
    name("Robert", "robert"),
    name("Linh", "linh"),
    name("Susan", "susan"),
    name("Rohan", "rohan"),
    name("明", "ming"),
];

/// Likewise.
pub(crate) const LAST_NAMES: [Name; 48] = [
    name("Núñez", "nunez"),
    name("O'Brien", "obrien"),
    name("Smith", "smith"),
    name("García-López", "garcia-lopez"),
    name("Nguyễn", "nguyen"),
    name("van der Berg", "vanderberg"),
    name("Müller", "mueller"),
    name("Kowalczyk", "kowalczyk"),
    name("Okonkwo", "okonkwo"),
    name("Tanaka", "tanaka"),
    name("D'Angelo", "dangelo"),
    name("Patel", "patel"),
    name("Johnson", "johnson"),
    name("Ångström", "angstrom"),
    name("Çelik", "celik"),
    name("Mac Giolla Phádraig", "macgiolla"),
    name("Ivanova", "ivanova"),
    name("Hernández", "hernandez"),
    name("Washington", "washington"),
    name("Østergaard", "ostergaard"),
    name("Kim", "kim"),
    name("Al-Farsi", "al-farsi"),
    name("Dvořák", "dvorak"),
    name("Mbeki", "mbeki"),
    name("Williams", "williams"),
    name("Szabó", "szabo"),
    name("Rossi", "rossi"),
    name("Lefèvre", "lefevre"),
    name("Yamamoto", "yamamoto"),
    name("Brown", "brown"),
    name("Papadopoulos", "papadopoulos"),
    name("Silva", "silva"),
    name("Cohen", "cohen"),
    name("Singh", "singh"),
    name("Jóhannsdóttir", "johannsdottir"),
    name("Miller", "miller"),
    name("Begum", "begum"),
    name("Fernández", "fernandez"),
    name("Lee", "lee"),
    name("St. John", "stjohn"),
    name("Novák", "novak"),
    name("Davis", "davis"),
    name("Haddad", "haddad"),
    name("Țepeș", "tepes"),
    name("Anderson", "anderson"),
    name("Chukwu", "chukwu"),
    name("Wright", "wright"),
    name("Zhang", "zhang"),
];

/// What follows a family's or a place's name in a company's.
pub(crate) const COMPANY_ENDINGS: [&str; 12] = [
    " & Sons",
    " & Daughters, Inc.",
    " Engineering",
    " Consulting Group",
    " Laboratories",
    " Press & Media",
    " Partners LLP",
    " Clinic",
    " Foods <Wholesale>",
    " Architects",
    " Credit Union",
    " Institute",
];

/// Streets, as written after the number.
pub(crate) const STREETS: [&str; 12] = [
    "Main St",
    "Oak Ave",
    "Martin Luther King Jr. Blvd",
    "Lakeview Dr",
    "Calle Ocho",
    "Elm St",
    "St. Mary's Rd",
    "Industrial Pkwy",
    "Maple Ct",
    "5th Ave",
    "Rue Sainte-Catherine",
    "Church Ln",
];

/// A city with its region, the first digits of its postal codes, and its country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) city: &'static str,
    pub(crate) state: &'static str,
    pub(crate) postal_prefix: &'static str,
    pub(crate) country_code: &'static str,
    pub(crate) country: &'static str,
}

/// Cities.
pub(crate) const PLACES: [Place; 16] = [
    Place { city: "Alexandria", state: "VA", postal_prefix: "223", country_code: "US", country: "United States" },
    Place { city: "Richmond", state: "VA", postal_prefix: "232", country_code: "US", country: "United States" },
    Place { city: "Baltimore", state: "MD", postal_prefix: "212", country_code: "US", country: "United States" },
    Place { city: "Chicago", state: "IL", postal_prefix: "606", country_code: "US", country: "United States" },
    Place { city: "San José", state: "CA", postal_prefix: "951", country_code: "US", country: "United States" },
    Place { city: "Cañon City", state: "CO", postal_prefix: "812", country_code: "US", country: "United States" },
    Place { city: "Coeur d'Alene", state: "ID", postal_prefix: "838", country_code: "US", country: "United States" },
    Place { city: "Austin", state: "TX", postal_prefix: "787", country_code: "US", country: "United States" },
    Place { city: "Boston", state: "MA", postal_prefix: "021", country_code: "US", country: "United States" },
    Place { city: "Winston-Salem", state: "NC", postal_prefix: "271", country_code: "US", country: "United States" },
    Place { city: "Seattle", state: "WA", postal_prefix: "981", country_code: "US", country: "United States" },
    Place { city: "St. Paul", state: "MN", postal_prefix: "551", country_code: "US", country: "United States" },
    Place { city: "Phoenix", state: "AZ", postal_prefix: "850", country_code: "US", country: "United States" },
    Place { city: "New Orleans", state: "LA", postal_prefix: "701", country_code: "US", country: "United States" },
    Place { city: "Québec", state: "QC", postal_prefix: "G1R ", country_code: "CA", country: "Canada" },
    Place { city: "Zürich", state: "", postal_prefix: "80", country_code: "CH", country: "Switzerland" },
];

/// What tells a later revision of a record from all others: none at first, then `B.` to `Z.`, then `AA.`, and so on. It
/// passes for a middle initial.
pub(crate) fn revision_initial(revision: u32) -> Option<String> {
    if revision <= 1 {
        return None;
    }
    let mut letters = Vec::new();
    let mut number = revision;
    while number > 0 {
        letters.push(char::from(b'A' + ((number - 1) % 26) as u8));
        number = (number - 1) / 26;
    }
    Some(letters.iter().rev().chain(&['.']).collect())
}
