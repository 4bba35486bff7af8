//! What bytes are read as, whatever their label.

use encoding_rs::{BIG5, EUC_JP, EUC_KR, GBK, KOI8_U, SHIFT_JIS, WINDOWS_874, WINDOWS_1254, X_MAC_CYRILLIC};
use proptest::prelude::*;

use super::*;

/// The text, and whether it is faithful and guessed.
fn read(bytes: &[u8], label: Option<&str>) -> (String, bool, bool) {
    let Decoded { text, faithful, guessed } = decode(bytes.into(), label);
    let again = decode(bytes.to_vec().into(), label);
    assert_eq!((&text, faithful, guessed), (&again.text, again.faithful, again.guessed), "borrowed or not");
    (text.into_owned(), faithful, guessed)
}

fn as_said(text: &str) -> (String, bool, bool) {
    (text.to_owned(), true, false)
}

fn as_guessed(text: &str) -> (String, bool, bool) {
    (text.to_owned(), true, true)
}

#[test]
fn a_known_label_is_obeyed() {
    for (bytes, label, text) in [
        (&b"Gr\xfc\xdfe"[..], "ISO-8859-1", "Grüße"),
        (b"\x80 5", "windows-1252", "€ 5"),
        (b"\x80 5", "latin1", "€ 5"),
        (b"\xf0\xd2\xc9\xd7\xc5\xd4", "koi8-r", "Привет"),
        (b"\x1b$B$\"\x1b(B", "iso-2022-jp", "あ"),
        (b"\x1b$B\x2d\x21\x1b(I1\x1b(B", "iso-2022-jp-ms", "①ｱ"),
        (b"\x1b$B$\"\x1b(B", "CP50221", "あ"),
        (b"\x1b$)C\x0eGQ\x0f", "iso-2022-kr", "한"),
        (b"~{VPND~}", "hz-gb-2312", "中文"),
        (b"\xe9F", "gb2312", "镕"),
        (b"\x8cc\xbc\x84", "ks_c_5601-1987", "똠펲"),
        (b"\x87\x40", "Shift_JIS", "①"),
        (b"\xa4\xa2", "x-euc-jp", "あ"),
        (b"\x9d\xf6", "Big5-HKSCS", "喺"),
        (b"+AOk-", "unicode-1-1-utf-7", "é"),
        (b"\0a\x20\xac", "utf-16be", "a€"),
        (b"\xff\xfea\0\xac\x20", "utf-16", "a€"),
        (b"\0\0\0a\0\0\x20\xac", "UTF-32", "a€"),
        (b"\xf9\xec\xe5\xed", "iso-8859-8-i", "שלום"),
        (b"Gr\x9f\xa7e", "x-mac-roman", "Grüße"),
        (b"\x8f\xf0\xe8\xe2\xe5\xf2", "x-mac-cyrillic", "Привет"),
        (b"P\xde\x92li\xe4", "x-mac-ce", "Příliš"),
        (b"Gr\x81\xe1e", "cp437", "Grüße"),
        (b"\xd5", "cp858", "€"),
        (b"\xca\xc7\xd1\xca", "tis-620", "สวัส"),
    ] {
        assert_eq!(read(bytes, Some(label)), as_said(text), "{label}");
    }
}

#[test]
fn names_are_known_however_they_are_spelt() {
    for (label, encoding) in [
        ("utf8", UTF_8),
        ("\"UTF-8\";", UTF_8),
        ("utf_8", UTF_8),
        ("utf8mb4", UTF_8),
        ("3D\"utf-8\"", UTF_8),
        ("cp65001", UTF_8),
        ("ISO8859-1", WINDOWS_1252),
        ("iso_8859-1:1987", WINDOWS_1252),
        ("iso-8859-1-windows-3.1-latin-1", WINDOWS_1252),
        ("8859_1", WINDOWS_1252),
        ("x-iso-8859-2", ISO_8859_2),
        ("iso-8859-9", WINDOWS_1254),
        ("ISO-8859-15", ISO_8859_15),
        ("latin-9", ISO_8859_15),
        ("iso-8859-11", WINDOWS_874),
        ("iso-8859-8-e", ISO_8859_8),
        ("win-1251", WINDOWS_1251),
        ("windows1251", WINDOWS_1251),
        ("x-cp1251", WINDOWS_1251),
        ("ansi-1251", WINDOWS_1251),
        ("1251", WINDOWS_1251),
        ("IBM-1250", WINDOWS_1250),
        ("koi8-ru", KOI8_U),
        ("ms932", SHIFT_JIS),
        ("cp943C", SHIFT_JIS),
        ("Windows-31J", SHIFT_JIS),
        ("cp51932", EUC_JP),
        ("eucJP-ms", EUC_JP),
        ("x-gbk", GBK),
        ("cp950", BIG5),
        ("ks_c_5601", EUC_KR),
        ("KSC5601-1992", EUC_KR),
        ("cp949", EUC_KR),
        ("uhc", EUC_KR),
        ("x-mac-ukrainian", X_MAC_CYRILLIC),
    ] {
        let same = |charset: Charset| {
            charset == Charset::Web(encoding)
                || encoding == GBK && charset == Charset::Web(encoding_rs::GB18030)
        };
        assert!(Charset::of(label).is_some_and(same), "{label}");
    }
    for label in [
        "",
        "us-ascii",
        "ASCII",
        "ANSI_X3.4-1968",
        "x-unknown",
        "unknown-8bit",
        "default",
        "x-user-defined",
        "\u{fffd}",
    ] {
        assert!(Charset::of(label).is_none(), "{label}");
    }
}

#[test]
fn every_charset_of_the_web_is_read_as_the_web_reads_it() {
    for label in [
        "ibm866",
        "iso-8859-2",
        "iso-8859-3",
        "iso-8859-4",
        "iso-8859-5",
        "iso-8859-6",
        "iso-8859-7",
        "iso-8859-8",
        "iso-8859-10",
        "iso-8859-13",
        "iso-8859-14",
        "iso-8859-15",
        "iso-8859-16",
        "koi8-r",
        "koi8-u",
        "macintosh",
        "windows-874",
        "windows-1250",
        "windows-1251",
        "windows-1252",
        "windows-1253",
        "windows-1254",
        "windows-1255",
        "windows-1256",
        "windows-1257",
        "windows-1258",
        "x-mac-cyrillic",
        "gbk",
        "gb18030",
        "big5",
        "euc-jp",
        "shift_jis",
        "euc-kr",
    ] {
        let encoding = Encoding::for_label(label.as_bytes()).unwrap();
        // Each letter that it has, in a text of its own: a longer one might be taken for another charset's.
        for byte in 0xa0..=0xff_u8 {
            let bytes = [b'a', byte, 0xc1];
            let (text, broken) = encoding.decode_without_bom_handling(&bytes);
            if !broken {
                assert_eq!(read(&bytes, Some(label)), as_said(&text), "{label} {byte:x}");
            }
        }
    }
}

#[test]
fn without_a_label_utf8_wins_and_else_the_bytes_are_asked() {
    assert_eq!(read("Grüße".as_bytes(), None), as_said("Grüße"));
    assert_eq!(read("Grüße".as_bytes(), Some("us-ascii")), as_said("Grüße"));
    assert_eq!(read(b"Gr\xfc\xdfe", None), as_guessed("Grüße"));
    assert_eq!(read(b"caf\xe9", None), as_guessed("café"));
    assert_eq!(read(b"Gr\xfc\xdfe", Some("x-nobody-knows")), as_guessed("Grüße"));
    assert_eq!(read(b"\x1b$B$\"\x1b(B", None), as_guessed("あ"));
    assert_eq!(read(b"\xff\xfea\0\xac\x20", None), as_guessed("a€"));
}

/// What a person may write who says no charset, in the charsets that it was written in.
#[test]
fn languages_are_told_by_their_bytes() {
    for (text, labels) in [
        ("Guten Tag, ich kann mich nicht mehr anmelden. Grüße, Jürgen", &["windows-1252"][..]),
        ("Bonjour, le numéro de ma commande a été égaré. Merci à vous", &["windows-1252"]),
        ("Dzień dobry, proszę o pomoc, żółta łódź została uszkodzona", &["windows-1250", "iso-8859-2"]),
        ("Dobrý den, prosím o pomoc, můj účet je zablokován. Děkuji", &["windows-1250", "iso-8859-2"]),
        ("Jó napot kívánok, nem tudok bejelentkezni, kérem segítsenek", &["windows-1250"]),
        (
            "Здравствуйте, я не могу войти в свою учётную запись",
            &["windows-1251", "koi8-r", "ibm866", "iso-8859-5"],
        ),
        ("Добрий день, не можу увійти до свого облікового запису, її немає", &["windows-1251", "koi8-u"]),
        ("Καλημέρα σας, δεν μπορώ να συνδεθώ στον λογαριασμό μου", &["windows-1253", "iso-8859-7"]),
        (
            "Merhaba, hesabıma giriş yapamıyorum. Lütfen yardımcı olur musunuz? Siparişim hâlâ gelmedi, çok üzgünüm",
            &["windows-1254"],
        ),
        ("שלום, אני לא מצליח להתחבר לחשבון שלי", &["windows-1255"]),
        ("مرحبا، لا أستطيع الدخول إلى حسابي", &["windows-1256"]),
        ("สวัสดีครับ ผมเข้าระบบไม่ได้ครับ", &["windows-874"]),
        ("お世話になっております。ログインできません。", &["shift_jis", "euc-jp"]),
        ("您好，我无法登录我的账户，请帮忙。", &["gbk"]),
        ("您好，我無法登入我的帳戶，請協助處理。", &["big5"]),
        ("안녕하세요, 로그인이 되지 않습니다. 도와주세요.", &["euc-kr"]),
    ] {
        for label in labels {
            let (bytes, _, lossy) = Encoding::for_label(label.as_bytes()).unwrap().encode(text);
            assert!(!lossy, "{label}");
            let long = [b"plain ".repeat(10_000), bytes.to_vec()].concat();

            assert_eq!(read(&bytes, None), as_guessed(text), "{label}");
            assert_eq!(read(&bytes, Some("utf-8")), as_guessed(text), "{label}, called UTF-8");
            assert!(read(&long, None).0.ends_with(text), "{label}, behind much that is plain");
        }
    }
}

#[test]
fn utf8_is_known_by_any_other_name() {
    for (text, label) in [
        ("Grüße", "iso-8859-1"),
        ("ü", "windows-1252"),
        ("5 €", "iso-8859-15"),
        ("Příliš", "iso-8859-2"),
        ("Привет", "windows-1251"),
        ("Привет", "koi8-r"),
        ("Γειά", "iso-8859-7"),
        ("שלום", "windows-1255"),
        ("สวัสดี", "tis-620"),
        ("问题", "iso-8859-1"),
        ("订单有问题", "gb2312"),
        ("ログイン", "shift_jis"),
        ("안녕하세요", "euc-kr"),
        ("Your Größe", "utf-16"),
        ("日本語", "iso-2022-jp"),
        ("ü", "utf-7"),
        ("\u{feff}é", "koi8-r"),
    ] {
        assert_eq!(read(text.as_bytes(), Some(label)), as_guessed(text), "{label}");
    }
}

#[test]
fn what_only_happens_to_be_utf8_is_what_its_label_says() {
    for (text, label) in [
        ("NESTLÉ®", "windows-1252"),
        ("её", "koi8-r"),
        ("รถ", "tis-620"),
        ("เชค", "windows-874"),
        ("CASĂ", "windows-1250"),
    ] {
        let bytes = Encoding::for_label(label.as_bytes()).unwrap().encode(text).0;
        assert_eq!(read(&bytes, Some(label)), as_said(text), "{label}");
    }
}

#[test]
fn letters_of_windows_are_read_where_iso_8859_has_controls() {
    assert_eq!(read(b"\x84\x8elu\x9d\x93", Some("iso-8859-2")), as_guessed("„Žluť“"));
    assert_eq!(read(b"5 \x80", Some("iso-8859-15")), as_guessed("5 €"));
    assert_eq!(read(b"\xbelu\xbb", Some("iso-8859-2")), as_said("žluť"));
}

#[test]
fn what_is_cut_or_broken_in_few_places_keeps_its_charset() {
    assert_eq!(read("Köln, Zür".as_bytes().get(..8).unwrap(), Some("utf-8")), as_said("Köln, Z"));
    assert_eq!(read(b"K\xc3\xb6ln, Z\xc3", Some("utf-8")), ("Köln, Z\u{fffd}".to_owned(), false, false));
    assert_eq!(read(b"K\xc3\xb6ln, \xe4\xbd\xa0 \xff", None), ("Köln, 你 \u{fffd}".to_owned(), false, false));
    let mut bytes = SHIFT_JIS.encode("お世話になっております").0.into_owned();
    bytes.extend(b" \xfd");
    let (text, faithful, guessed) = read(&bytes, Some("shift_jis"));
    assert!(text.starts_with("お世話になっております"));
    assert_eq!((faithful, guessed), (false, false));
}

#[test]
fn lines_that_a_server_appended_are_read_for_themselves() {
    assert_eq!(
        read(b"K\xc3\xb6ln, Z\xc3\xbcrich\nFu\xdfzeile\n", Some("utf-8")),
        as_guessed("Köln, Zürich\nFußzeile\n")
    );
}

#[test]
fn a_charset_of_two_bytes_that_does_not_fit_is_not_believed() {
    let text = "Здравствуйте, я не могу войти в свою учётную запись";
    let bytes = WINDOWS_1251.encode(text).0;

    assert_eq!(read(&bytes, Some("shift_jis")), as_guessed(text));
    assert_eq!(read(&bytes, Some("euc-jp")), as_guessed(text));
}

#[test]
fn a_replacement_character_that_was_sent_is_not_a_fault() {
    assert_eq!(read("a\u{fffd}".as_bytes(), Some("utf-8")), as_said("a\u{fffd}"));
}

#[test]
fn what_is_whole_is_known_from_what_was_cut() {
    assert_eq!(decode_whole("ü".as_bytes(), "utf-8").as_deref(), Some("ü"));
    assert_eq!(decode_whole(b"\xc3", "utf-8"), None);
    assert_eq!(decode_whole(b"\xc4\xe3\xba", "gb2312"), None);
    assert_eq!(decode_whole(b"\x1b$B$\"", "iso-2022-jp"), None);
    assert_eq!(decode_whole("ü".as_bytes(), "iso-8859-1").as_deref(), Some("ü"));
    assert_eq!(decode_whole(b"\xfc", "x-unknown"), None);
}

proptest! {
    #[test]
    fn any_bytes_under_any_label_become_text_within_bounds(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        label in prop::sample::select(&[
            "", "utf-8", "utf-7", "utf-16", "utf-32", "iso-2022-jp", "iso-2022-kr", "hz-gb-2312", "gb2312", "big5", "shift_jis",
            "euc-kr", "iso-8859-1", "iso-8859-2", "windows-874", "cp437", "x-mac-ce", "x-unknown",
        ][..]),
    ) {
        let Decoded { text, faithful, .. } = decode(bytes.as_slice().into(), Some(label));
        prop_assert!(text.len() <= 3 * bytes.len());
        prop_assert!(faithful || text.contains(char::REPLACEMENT_CHARACTER));
    }

    #[test]
    fn utf8_is_never_taken_for_anything_else(text in any::<String>()) {
        prop_assume!(!text.contains('\x1b'));
        prop_assert_eq!(read(text.as_bytes(), Some("utf-8")), as_said(&text));
        prop_assert_eq!(read(text.as_bytes(), None), as_said(&text));
    }
}
