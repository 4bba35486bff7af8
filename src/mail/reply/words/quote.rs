//! The words above a quote: who wrote it, and lines that part it from what is above.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::mail::reply::words::{any_in, set};

/// Whether a word says that somebody wrote something.
pub(in crate::mail::reply) fn is_wrote(word: &str) -> bool {
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| set(WROTE));
    WORDS.contains(word)
}

const WROTE: &str = "\
    wrote|writes|said|says|mentioned|schrieb|schreibt|geschrieben|zitat|écrit|écrivait|ecrit|escribió|escribio|escrito|scritto|\
    scrive|escreveu|schreef|schrijft|geschreven|citeren|napisał|napisała|napisał(a|napisal|napisala|\
    napisał/a|pisze|napisana|użytkownik|skrev|skriver|skreiv|kirjoitti|kirjoittaa|napsal|napsala|napsal(a|\
    napísal|napísala|napísal(a|píše|írta|scris|έγραψε|написал|написала|написал(а|написал(-а|написала(-а|\
    писал|писал(а|пишет|пользователь|написав|написав(-ла|написав(ла|написала(-ла|пише|напісаў|написа|напиша|\
    napisao|napisao/la|napisao(la|yazdı|yazmış|yazıb|viết|menulis|kirjutas|rakstīja|rašė|escriure|escrit|\
    escribiu|idatzi|shkroi|skrifaði|quoting|quote|citando|citazione|skribis|כתב|כתבה|כתב/ה|كتب|كتبت|\
    كتب/كتبت|كتب/ت|نوشت|نوشته";

/// The same of a line, where words are not parted by spaces.
pub(in crate::mail::reply) fn says_wrote(line: &str) -> bool {
    any_in(SAYS_WROTE, line)
}

const SAYS_WROTE: &str = "\
    写道|寫道|写到|寫到|写于|書きました|のメール|のメッセージ|작성|쓴 글|쓰신 글|쓴 내용|เขียน|ने लिखा";

/// Whether the line about a quote may begin with a word, which then is not the middle of it.
pub(in crate::mail::reply) fn begins_attribution(word: &str) -> bool {
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| set(OPENERS));
    WORDS.contains(word)
}

const OPENERS: &str = "\
    on|am|le|el|il|em|op|w|dnia|wiadomość|den|dne|dňa|în|στις|στην|vào|на|в|på|pe|ti|ma|ke|to|la|su|----|在|\
    a|пн|вт|ср|чт|пт|сб|нд|вс|po|út|st|čt|pá|so|ne|man|tir|ons|tor|fre|lør|søn|pon|wt|śr|czw|pt|sob|niedz";

/// Whether a time of day follows a word, for it may be written like any number.
pub(in crate::mail::reply) fn is_clock(word: &str) -> bool {
    matches!(word, "kl" | "klo" | "kello" | "klokken" | "klockan" | "um" | "à" | "alle" | "ore")
}

/// Whether these are the words between the dashes above a quoted mail: `-----Original Message-----`.
pub(in crate::mail::reply) fn is_original_message(words: &str) -> bool {
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| set(ORIGINAL));
    WORDS.contains(words)
}

const ORIGINAL: &str = "\
    original message|original mail|original email|original e-mail|original appointment|reply message|reply|\
    ursprüngliche nachricht|ursprüngliche mitteilung|ursprüngliche mail|ursprünglicher termin|\
    originalnachricht|original-nachricht|original nachricht|originalmail|original-mail|antwort nachricht|\
    message d'origine|message d’origine|message original|message initial|courriel original|\
    rendez-vous d'origine|mensaje original|correo original|cita original|mensaje de origen|\
    messaggio originale|messaggio originario|mensagem original|compromisso original|oorspronkelijk bericht|\
    oorspronkelijke bericht|origineel bericht|oorspronkelijke afspraak|wiadomość oryginalna|\
    oryginalna wiadomość|treść oryginalnej wiadomości|ursprungligt meddelande|ursprungligt mejl|\
    originalmeddelande|originalmeddelelse|oprindelig meddelelse|oprindelig besked|oprindelig mail|\
    original besked|opprinnelig melding|opphavleg melding|alkuperäinen viesti|\
    alkuperäinen viesti / orig.msg.|alkuperäinen sähköposti|původní zpráva|původní e-mail|pôvodná správa|\
    pôvodná správa --- original message|eredeti üzenet|eredeti levél|mesajul original|mesaj original|\
    αρχικό μήνυμα|izvorna poruka|originalna poruka|izvirno sporočilo|оригинално съобщение|оригинално писмо|\
    исходное сообщение|исходное письмо|оригинальное сообщение|первоначальное сообщение|вихідне повідомлення|\
    початкове повідомлення|оригінальне повідомлення|оригинална порука|özgün ileti|orijinal ileti|\
    orijinal mesaj|özgün mesaj|元のメッセージ|元のメール|オリジナルメッセージ|原始邮件|原始消息|原邮件|原始郵件|原始訊息|原始信件|원본 메시지|원본 메일|원본 이메일|\
    원본메시지|원래 메시지|thư gốc|pesan asli|mesej asal|הודעה מקורית|الرسالة الأصلية|الرسالة الأصليَّة|پیام اصلی|\
    missatge original|mensaxe orixinal|algne kiri|jatorrizko mezua|originalus laiškas|sākotnējā vēstule|\
    upprunaleg skilaboð|mesazhi origjinal";

/// Whether the words of a separator say that a message is passed on.
pub(in crate::mail::reply) fn is_forwarded(words: &str) -> bool {
    any_in(FORWARDED, words)
}

/// Stems, and what no other word begins with.
const FORWARDED: &str = "\
    forwarded|weitergeleitet|transféré|réexpédié|transmis|reenviado|reunviáu|reenviada|inoltrato|\
    encaminhada|reencaminhada|doorgestuurd|przekazan|przekazywan|przesłana dalej|vidarebefordra|videresend|\
    videresendt|välitet|edelleenlähetet|přeposla|přeposíla|preposla|пересыл|пересланн|перенаправ|переадрес|\
    переслан|пересила|iletil|i̇letil|ileti başlangıcı|転送|转发|轉寄|轉發|전달|továbbít|redirecțion|redirectat|προωθη|\
    proslijeđen|prosleđen|posredovano|препрат|הועבר|المعاد|chuyển tiếp|diteruskan|edastatud";

/// Whether a line is what Apple Mail, and Eudora before it, writes above a message that is passed on.
pub(in crate::mail::reply) fn begins_forward(line: &str) -> bool {
    line.len() <= 120 && FORWARD_BEGINS.split('|').any(|begins| line.starts_with(begins))
}

const FORWARD_BEGINS: &str = "\
    begin forwarded|anfang der|début du message|inicio del mensaje|inizio messaggio|início da mensagem|\
    begin doorgestuurd|początek przekaz|start på videresendt|videresendt melding|vidarebefordrat mejl|\
    välitetty viesti|začátek přepos|začiatok prepos|továbbított levél|începe mesajul|započni pros|\
    начало переадр|початок листа|ileti başlangıcı|i̇leti başlangıcı|転送された|以下是转发的|전달된 메시지";

/// Whether a line is what helpdesks write above the mails they send, so that the answer to them can be told.
pub(in crate::mail::reply) fn is_reply_above(line: &str) -> bool {
    any_in(REPLY_ABOVE, line)
}

const REPLY_ABOVE: &str = "\
    reply above this line|respond above this line|write above this line|answer above this line|\
    type your reply above|oberhalb dieser zeile|über dieser zeile|oberhalb dieser linie|\
    au-dessus de cette ligne|por encima de esta línea|encima de esta línea|sopra questa riga|\
    al di sopra di questa riga|acima desta linha|boven deze regel|boven deze lijn|powyżej tej linii|\
    ovanför den här raden|ovanför denna rad|over denne linje|over denne linjen|yläpuolelle|nad tento řádek|\
    nad tímto řádkem|nad tento riadok|выше этой строки|над этой строкой|вище цього рядка|над цим рядком|\
    bu satırın üst|この行より上|この線より上|此行上方|此线以上|이 줄 위에|이 선 위에|e sor fölé";

/// Everything here, for a look at its form.
#[cfg(test)]
pub(super) const ALL: &[&str] =
    &[WROTE, SAYS_WROTE, OPENERS, ORIGINAL, FORWARDED, FORWARD_BEGINS, REPLY_ABOVE];
