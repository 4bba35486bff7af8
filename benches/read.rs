//! How fast a mail is read: [`read`] beside bare `mail-parser`, which takes a mail apart and decodes its
//! parts, but neither sanitises HTML nor hashes attachments. Messages per second and bytes per second are
//! two views of one measurement: `thrpt` is bytes, `time` is one mail.

use std::fs;
use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mail_parser::MessageParser;
use postroom::mail::{Facts, read};
use postroom::message::{Extent, Listed, Message, Uid};

/// A short text, a reply, HTML with its text and image, HTML alone, and a large attachment.
const GOLDEN: [&str; 4] = ["01-plain", "17-reply", "28-related-with-inline-image", "22-html-only"];

fn benches(criterion: &mut Criterion) {
    let facts = Facts::default();
    let golden = GOLDEN.map(|name| (name, golden(name)));
    for (name, source) in golden.into_iter().chain([("large-attachment", with_attachment(4 * 1024 * 1024))]) {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(source.len() as u64));
        let listed = Listed { uid: Uid(1), size: source.len() as u64, internal_date: None };
        let message = Message { listed, source, extent: Extent::Whole };
        group.bench_function("read", |bencher| bencher.iter(|| read(black_box(&message), &facts)));
        group.bench_function("mail-parser", |bencher| {
            bencher.iter(|| {
                MessageParser::default().parse(black_box(&message.source)).map(|mail| mail.parts.len())
            });
        });
        group.finish();
    }
}

fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail").join(name).with_extension("eml");
    fs::read(path).unwrap_or_default()
}

fn with_attachment(size: usize) -> Vec<u8> {
    let head = "From: a@example.com\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee attached\r\n\
                --b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let line = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWkFC\r\n";
    (head.to_owned() + &line.repeat(size / line.len()) + "--b--\r\n").into_bytes()
}

criterion_group!(group, benches);
criterion_main!(group);
