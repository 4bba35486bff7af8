//! uuencode: a file as lines of a text (POSIX.1-2017, `uuencode`).

use memchr::memchr;

/// Most bytes that a line stands for: what six bits can say.
const LINE_BYTES: u8 = 63;

/// A file found in a text.
pub(super) struct File<'a> {
    /// Its name, in the text's charset.
    pub(super) name: &'a [u8],
    /// From its `begin` to its `end`, both included: what [`decode`] takes.
    pub(super) content: &'a [u8],
}

/// The file that begins with the line at the start of `text`.
///
/// One that is cut short is taken too, if its first line is a whole one: prose after a line that happens to read like
/// a beginning has lower-case letters, which no line of a file has.
pub(super) fn file(text: &[u8]) -> Option<File<'_>> {
    let (line, _) = split_line(text);
    let name = name(line)?;
    let mut end = text.len() - split_line(text).1.len();
    let mut begins_whole = false;
    for (number, (line, rest)) in lines(text).skip(1).enumerate() {
        if line == b"end" {
            return Some(File { name, content: text.get(..text.len() - rest.len())? });
        }
        let Some((bytes, chars)) = data(line) else { break };
        begins_whole |= number == 0 && bytes > 0 && chars.len() >= chars_for(bytes);
        end = text.len() - rest.len();
    }
    begins_whole.then_some(File { name, content: text.get(..end)? })
}

/// Decodes the first file in `raw` into `sink`; `false` if there is none or a line of it is broken. A missing end is
/// not held against it.
pub(super) fn decode(raw: &[u8], sink: &mut impl FnMut(&[u8])) -> bool {
    let mut lines = lines(raw).map(|(line, _)| line).skip_while(|line| name(line).is_none()).peekable();
    let begins = lines.next().is_some();
    for line in lines.take_while(|line| *line != b"end") {
        let Some((bytes, chars)) = data(line) else { return false };
        let mut decoded = [0; LINE_BYTES as usize];
        for (group, chars) in decoded.chunks_mut(3).zip(chars.chunks(4)) {
            // What a mail program stripped from the end of a line were spaces.
            let sextet = |i: usize| u32::from(chars.get(i).map_or(0, |char| (char - b' ') & 0x3f));
            let value = (0..4).fold(0, |value, i| value << 6 | sextet(i));
            let [_, bytes @ ..] = value.to_be_bytes();
            group.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
        }
        sink(decoded.get(..bytes).unwrap_or_default());
    }
    begins
}

/// The name, if this is the line that begins a file: `begin 644 name`.
fn name(line: &[u8]) -> Option<&[u8]> {
    let (mode, name) = line.strip_prefix(b"begin ")?.split_at_checked(3)?;
    let name = name.strip_prefix(b" ").or_else(|| name.get(1..)?.strip_prefix(b" "))?.trim_ascii();
    let is_mode = mode.iter().all(|digit| (b'0'..=b'7').contains(digit));
    (is_mode && !name.is_empty()).then_some(name)
}

/// How many bytes a line of a file stands for, and the characters that do.
fn data(line: &[u8]) -> Option<(usize, &[u8])> {
    // A single space, which says that nothing follows, may have been stripped.
    let Some((&length, chars)) = line.split_first() else { return Some((0, &[])) };
    let is_char = |char: &u8| (b' '..=b'`').contains(char);
    if !line.iter().all(is_char) {
        return None;
    }
    let bytes = usize::from((length - b' ') & LINE_BYTES);
    // Some programs add a checksum.
    (chars.len() <= chars_for(bytes) + 1).then_some((bytes, chars))
}

fn chars_for(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// The lines of a text without their ends, each with what follows it.
fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, tail) = split_line(rest);
        rest = tail;
        Some((line, tail))
    })
}

fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr(b'\n', text).map_or(text.len(), |at| at + 1);
    let (line, rest) = text.split_at(end);
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CAT: &str = "begin 644 cat.txt\r\n#0V%T\r\n`\r\nend\r\n";

    fn decoded(raw: &[u8]) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        let sound = decode(raw, &mut |piece| bytes.extend_from_slice(piece));
        (bytes, sound)
    }

    #[test]
    fn a_file_is_decoded() {
        assert_eq!(decoded(CAT.as_bytes()), (b"Cat".to_vec(), true));
        assert_eq!(
            decoded(b"see below\n\nbegin 0644 a b\n#0V%T\n \nend\nand above\n"),
            (b"Cat".to_vec(), true)
        );
    }

    #[test]
    fn a_file_ends_where_it_says_so() {
        let text = format!("{CAT}Regards\r\n");

        let file = file(text.as_bytes()).unwrap();

        assert_eq!((file.name, file.content), (&b"cat.txt"[..], CAT.as_bytes()));
    }

    #[test]
    fn stripped_spaces_stand_for_zeros() {
        assert_eq!(decoded(b"begin 644 a\n#\n\nend\n"), (vec![0; 3], true));
    }

    #[test]
    fn a_file_that_is_cut_short_ends_where_its_lines_do() {
        let whole = format!("M{}", "A".repeat(60));
        let text = format!("begin 644 a\n{whole}\n{whole}\nYours truly\n");

        let file = file(text.as_bytes()).unwrap();

        assert_eq!(decoded(file.content), (decoded(file.content).0, true));
        assert_eq!(decoded(file.content).0.len(), 90);
    }

    #[test]
    fn prose_is_no_file() {
        for text in [
            "begin 644 things\nand end none\n",
            "begin 644 things\nPLEASE\nHELP\n",
            "begin 6x4 a\n#0V%T\nend\n",
            "begin 644\n#0V%T\nend\n",
            "begin  644 a\n#0V%T\nend\n",
            "beginning\n",
            "",
        ] {
            assert!(file(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_no_file_is_broken() {
        assert!(!decoded(b"Dear all,\n").1);
        assert!(!decoded(b"begin 644 a\nsee below\nend\n").1);
    }

    fn encode(bytes: &[u8]) -> String {
        let char = |sextet: u8| if sextet == 0 { '`' } else { char::from(sextet + b' ') };
        let mut lines = "begin 644 a\n".to_owned();
        for line in bytes.chunks(45) {
            lines.push(char(u8::try_from(line.len()).unwrap()));
            for group in line.chunks(3) {
                let at = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
                let value = at(0) << 16 | at(1) << 8 | at(2);
                lines.extend((0..4).rev().map(|i| char(u8::try_from(value >> (6 * i) & 0x3f).unwrap())));
            }
            lines.push('\n');
        }
        lines + "`\nend\n"
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            let encoded = encode(&bytes);
            prop_assert_eq!(decoded(encoded.as_bytes()), (bytes.clone(), true));
            prop_assert_eq!(decoded(encoded.replace('`', " ").as_bytes()), (bytes, true));
            prop_assert_eq!(file(encoded.as_bytes()).unwrap().content, encoded.as_bytes());
        }
    }
}
