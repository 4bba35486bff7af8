//! Whether what a mail claims of a file and what was found are the same.

/// Types that say nothing.
const UNKNOWN: [&str; 6] = [
    "application/octet-stream",
    "application/x-octet-stream",
    "application/unknown",
    "application/download",
    "application/force-download",
    "binary/octet-stream",
];

/// Names for the same thing, or things that are told apart by more than their beginning.
const SAME: [&[&str]; 23] = [
    &["image/jpeg", "image/jpg", "image/pjpeg"],
    &["image/png", "image/x-png", "image/apng"],
    &["image/bmp", "image/x-bmp", "image/x-ms-bmp", "image/x-windows-bmp"],
    &["image/tiff", "image/tif", "image/x-tiff", "image/x-tif"],
    &["image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence"],
    &["image/emf", "image/x-emf", "application/x-emf"],
    &["image/wmf", "image/x-wmf", "application/x-msmetafile"],
    &["audio/mpeg", "audio/mp3", "audio/mpeg3", "audio/x-mp3", "audio/x-mpeg", "audio/mpg"],
    &["audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"],
    &["video/mp4", "video/quicktime", "video/3gpp", "video/x-m4v", "audio/mp4", "audio/x-m4a", "audio/m4a"],
    &["application/ogg", "audio/ogg", "video/ogg"],
    &["application/pdf", "application/x-pdf", "application/acrobat", "text/pdf"],
    &["application/postscript", "application/eps", "image/x-eps", "image/eps"],
    &["application/rtf", "application/x-rtf", "text/rtf", "text/richtext"],
    &["application/vnd.rar", "application/x-rar", "application/x-rar-compressed", "application/rar"],
    &["application/x-7z-compressed", "application/7z"],
    &["application/x-bzip2", "application/x-bzip", "application/bzip2"],
    &["text/calendar", "application/ics", "text/x-vcalendar"],
    &["text/vcard", "text/x-vcard", "text/directory"],
    &["text/html", "application/xhtml+xml"],
    &[
        "message/rfc822",
        "message/global",
        "message/global-headers",
        "text/rfc822-headers",
        "message/rfc822-headers",
    ],
    &["application/ms-tnef", "application/vnd.ms-tnef"],
    &[
        "application/vnd.microsoft.portable-executable",
        "application/x-msdownload",
        "application/x-dosexec",
        "application/x-msdos-program",
        "application/exe",
        "application/x-exe",
    ],
];

/// Types that a document is claimed under, by how they begin, and what it is found to be.
const DOCUMENTS: [(&str, &[&str]); 6] = [
    ("application/msword", &["application/vnd.ms-word", "application/x-msword", "application/doc"]),
    ("application/vnd.ms-excel", &["application/msexcel", "application/x-msexcel", "application/xls"]),
    ("application/vnd.ms-powerpoint", &["application/mspowerpoint", "application/ppt"]),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        &["application/vnd.openxmlformats-officedocument.wordprocessingml.", "application/vnd.ms-word."],
    ),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        &["application/vnd.openxmlformats-officedocument.spreadsheetml.", "application/vnd.ms-excel."],
    ),
    (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        &["application/vnd.openxmlformats-officedocument.presentationml.", "application/vnd.ms-powerpoint."],
    ),
];

/// Formats that others are made of: what is claimed may be one of those.
const MADE_OF: [&str; 4] = ["application/zip", "application/gzip", "application/x-ole-storage", "text/xml"];

/// Types that are made of nothing else, and would have been found.
const PLAIN: [&str; 4] =
    ["application/pdf", "application/rtf", "application/postscript", "application/xhtml+xml"];

/// Whether a file that was found to be one thing is claimed to be another, or nothing in particular.
pub(in crate::mail) fn contradicts(claimed: &str, found: &str) -> bool {
    let is_same = claimed == found
        || SAME.iter().any(|same| same.contains(&claimed) && same.contains(&found))
        || DOCUMENTS.iter().any(|(document, starts)| {
            *document == found && starts.iter().any(|start| claimed.starts_with(start))
        });
    let may_be_made_of_it = MADE_OF.contains(&found)
        && !UNKNOWN.contains(&claimed)
        && !PLAIN.contains(&claimed)
        && match claimed.split_once('/') {
            Some(("application", _)) => true,
            Some((_, subtype)) => {
                found == "text/xml" && (claimed.starts_with("text/") || subtype.ends_with("+xml"))
            }
            None => false,
        };
    !is_same && !may_be_made_of_it
}
