use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use store::Shadow;

/// Bytes of a source id: with the longest connection before it, it is as long as DynamoDB lets a sort key be, such as
/// that of the index by connection.
const LONGEST_SOURCE_ID: usize = 1_024 - "/~".len() - 2 * 40;

/// The place in a list of customers, as an opaque text for the caller that asks for the next page.
pub fn write_cursor(shard: u8, source_id: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{shard}:{source_id}"))
}

/// The place in a list that a cursor stands for; `None` if it is not one of ours.
pub fn read_cursor(text: &str) -> Option<(u8, String)> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (shard, source_id) = text.split_once(':')?;
    let shard = shard.parse().ok().filter(|shard| *shard < Shadow::SHARDS)?;
    (source_id.len() <= LONGEST_SOURCE_ID).then(|| (shard, source_id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_with_an_id_that_no_key_can_hold_was_never_given_out() {
        let longest = "a".repeat(LONGEST_SOURCE_ID);
        assert_eq!(read_cursor(&write_cursor(3, &longest)), Some((3, longest.clone())));
        assert_eq!(read_cursor(&write_cursor(3, &format!("{longest}a"))), None);
    }
}
