//! The answer to UID FETCH.

use anyhow::{Result, bail};

use super::mailbox::{Body, MailFolder, Message};

/// What stands in place of a mail that Exchange cannot make (OfflineIMAP/offlineimap#62).
const NOTICE: &str = "From: Microsoft Exchange Server 2010\r\nSubject: Retrieval using the IMAP4 protocol failed \
                      for the following message: NUMBER\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n\
                      The server couldn't retrieve the following message.\r\n";

/// The responses for these messages, in the order of the folder. Fails if an item is none that we know.
pub(super) fn responses(folder: &mut MailFolder, uids: &[u32], items: &str) -> Result<Vec<u8>> {
    let items: Vec<&str> = items.split(' ').collect();
    let mut answer = Vec::new();
    for (message, number) in folder.messages.iter_mut().zip(1..) {
        if uids.contains(&message.uid) {
            response(message, number, &items, &mut answer)?;
        }
    }
    Ok(answer)
}

fn response(message: &mut Message, number: u32, items: &[&str], answer: &mut Vec<u8>) -> Result<()> {
    let is_unlisted = items.contains(&"RFC822.SIZE") && message.is_unlisted;
    if is_unlisted || (items.contains(&"BODY.PEEK[]") && message.is_left_out()) {
        return Ok(());
    }
    answer.extend(format!("* {number} FETCH (").bytes());
    for (item, place) in items.iter().zip(0..) {
        if place > 0 {
            answer.push(b' ');
        }
        item_of(message, number, item, answer)?;
    }
    answer.extend(b")\r\n");
    Ok(())
}

fn item_of(message: &Message, number: u32, item: &str, answer: &mut Vec<u8>) -> Result<()> {
    let text = match item.to_ascii_uppercase().as_str() {
        "UID" => format!("UID {}", message.uid),
        "FLAGS" => format!("FLAGS ({})", message.flags.iter().cloned().collect::<Vec<_>>().join(" ")),
        "RFC822.SIZE" => format!("RFC822.SIZE {}", message.size),
        "INTERNALDATE" => format!("INTERNALDATE {}", message.date),
        "BODY.PEEK[]" => {
            let source = &message.source;
            match message.body {
                Body::Nil => answer.extend(b"BODY[] NIL"),
                Body::Empty => literal("BODY[]", 0, b"", answer),
                Body::Announced(length) => literal("BODY[]", length, source, answer),
                Body::Notice => {
                    let notice = NOTICE.replace("NUMBER", &number.to_string()).into_bytes();
                    literal("BODY[]", notice.len() as u64, &notice, answer);
                }
                Body::Source | Body::LeftOut | Body::LeftOutOnce => {
                    literal("BODY[]", source.len() as u64, source, answer);
                }
            }
            return Ok(());
        }
        "BODY.PEEK[HEADER]" => {
            let end = message.source.windows(2).position(|pair| pair == b"\n\n").map(|at| at + 2);
            let end = end.or(message.source.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4));
            let (header, _) = message.source.split_at(end.unwrap_or(message.source.len()));
            literal("BODY[HEADER]", header.len() as u64, header, answer);
            return Ok(());
        }
        _ => bail!("{item} is not known here"),
    };
    answer.extend(text.bytes());
    Ok(())
}

fn literal(item: &str, announced: u64, bytes: &[u8], answer: &mut Vec<u8>) {
    answer.extend(format!("{item} {{{announced}}}\r\n").bytes());
    answer.extend(bytes);
}

impl Message {
    /// Whether its content is withheld this time.
    fn is_left_out(&mut self) -> bool {
        match self.body {
            Body::LeftOut => true,
            Body::LeftOutOnce => {
                self.body = Body::Source;
                true
            }
            _ => false,
        }
    }
}
