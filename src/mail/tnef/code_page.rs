//! Windows code pages, by the names that charsets have in mail.

/// The charset of a code page, if mail knows it.
pub(super) fn charset(code_page: u32) -> Option<&'static str> {
    Some(match code_page {
        437 | 850 | 858 => "ibm850",
        866 => "ibm866",
        874 => "windows-874",
        932 => "shift_jis",
        936 => "gb18030",
        949 => "euc-kr",
        950 => "big5",
        1200 => "utf-16le",
        1250 => "windows-1250",
        1251 => "windows-1251",
        1252 => "windows-1252",
        1253 => "windows-1253",
        1254 => "windows-1254",
        1255 => "windows-1255",
        1256 => "windows-1256",
        1257 => "windows-1257",
        1258 => "windows-1258",
        10_000 => "macintosh",
        20_127 => "us-ascii",
        20_866 => "koi8-r",
        20_932 | 51_932 => "euc-jp",
        21_866 => "koi8-u",
        28_591 => "iso-8859-1",
        28_592 => "iso-8859-2",
        28_595 => "iso-8859-5",
        28_597 => "iso-8859-7",
        28_599 => "iso-8859-9",
        28_605 => "iso-8859-15",
        50_220..=50_222 => "iso-2022-jp",
        65_001 => "utf-8",
        _ => return None,
    })
}

/// The code page of a font's `\fcharset` in RTF, where that says more than the document.
pub(super) fn of_font(fcharset: i32) -> Option<u32> {
    Some(match fcharset {
        77 => 10_000,
        128 => 932,
        129 => 949,
        134 => 936,
        136 => 950,
        161 => 1253,
        162 => 1254,
        163 => 1258,
        177 => 1255,
        178 => 1256,
        186 => 1257,
        204 => 1251,
        222 => 874,
        238 => 1250,
        _ => return None,
    })
}
