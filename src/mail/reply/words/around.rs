//! The words around a letter: how it ends, what programs and servers add to it, and how it refers to its answers.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::mail::reply::words::{any_in, set};

/// Whether a line is what a telephone or a mail program adds by itself: that it sent something, and what it is.
pub(in crate::mail::reply) fn is_advertisement(line: &str) -> bool {
    any_in(SENT, line) && any_in(SENT_BY, line)
}

const SENT: &str = "\
    sent from|sent via|sent with|sent using|get outlook|get the outlook|gesendet|outlook für|envoyé|\
    télécharge|obtenez|obtenir|enviado|enviada|obtener|obter|obtenha|inviato|inviata|scarica|ottieni|\
    verstuurd|verzonden|downloaden|download|wysłan|wysłano|pobierz|skickat|hämta|sendt|hent|skaff|\
    få outlook|lähetetty|hanki|odesl|získejte|stáhn|odoslan|küldve|trimis|отправлен|получит|получите|\
    надіслан|відправлен|отрима|gönderildi|edinin|送信|入手|发自|发送自|發送|傳送|发送|获取|取得|보냄|보낸|다운로드|στάλθηκε|poslano|\
    gửi từ|dikirim|أُرسلت|أرسلت|נשלח";

const SENT_BY: &str = "\
    iphon|ipad|ipod|apple|ios|android|galaxy|samsung|huawei|xiaomi|redmi|oneplus|pixel|nokia|blackberry|\
    windows|outlook|yahoo|gmail|proton|mail|tuta|gmx|web.de|t-online|spark|k-9|fairemail|telefon|phone|\
    smartphone|handy|mobile|móvil|mobil|телефон|смартфон|puhelim|手机|スマートフォン";

/// Whether a line is one of those that a mailing list adds below a mail.
pub(in crate::mail::reply) fn is_lists(line: &str) -> bool {
    any_in(LIST, line)
}

const LIST: &str = "\
    mailing list|mailing-list|mailman|listinfo|unsubscribe|abbestellen|désabonner|désinscrire|\
    you received this message because|groups.google.com";

/// Whether a paragraph is what a virus scanner or a company adds below a mail.
pub(in crate::mail::reply) fn is_added_below(paragraph: &str) -> bool {
    any_in(SCANNER, paragraph)
        || paragraph.chars().count() >= DISCLAIMER_CHARS && any_in(DISCLAIMER, paragraph)
}

/// A shorter sentence about what is confidential may be the author's.
const DISCLAIMER_CHARS: usize = 60;

const SCANNER: &str = "\
    avast|avg.com|virus-free|virenfrei|sans virus|libre de virus|antivir|mcafee|kaspersky|bitdefender";

const DISCLAIMER: &str = "\
    confidential|confidentiel|confidencial|vertraulich|vertrouwelijk|riservat|confidenzial|poufn|konfidentiell|\
    fortrolig|luottamuksel|důvěrn|dôvern|конфиденциальн|конфіденційн|gizli bilgi|gizlilik|機密|保密|기밀|\
    intended recipient|intended only for|disclaimer|haftungsausschluss|consider the environment|\
    think before you print|drucken sie diese";

/// Whether a paragraph is what a mail server puts above a mail that comes from outside.
pub(in crate::mail::reply) fn is_banner(paragraph: &str) -> bool {
    any_in(WARNING, paragraph) && any_in(FROM_OUTSIDE, paragraph)
}

const WARNING: &str = "\
    caution|warning|attention|external|achtung|vorsicht|[extern|atención|attenzione|let op|\
    learn why this is important";

const FROM_OUTSIDE: &str = "\
    external sender|external email|external source|outside of|outside the|outside your|[external]|\
    don't often get email|don’t often get email|externe|extern]|von außerhalb|expéditeur externe|\
    remitente externo|mittente esterno|buiten de organisatie";

/// Whether a line ends a letter: a name stands below it.
pub(in crate::mail::reply) fn is_closing(line: &str) -> bool {
    static LINES: LazyLock<HashSet<&str>> = LazyLock::new(|| set(CLOSING));
    LINES.contains(line.trim_end_matches([',', '.', '!', '，', '。', '！', ';', ' ']))
}

const CLOSING: &str = "\
    regards|kind regards|best regards|warm regards|best wishes|yours sincerely|sincerely|yours|cheers|\
    many thanks|thanks|thank you|all the best|mit freundlichen grüßen|mit freundlichen gruessen|\
    mit freundlichen grüssen|mit freundlichem gruß|freundliche grüße|freundliche grüsse|viele grüße|\
    liebe grüße|beste grüße|schöne grüße|herzliche grüße|gruß|grüße|mfg|vg|lg|cordialement|\
    bien cordialement|bien à vous|sincères salutations|meilleures salutations|salutations|saludos|un saludo|\
    saludos cordiales|un cordial saludo|atentamente|cordiali saluti|distinti saluti|saluti|un saluto|\
    cumprimentos|com os melhores cumprimentos|atenciosamente|att|abraço|met vriendelijke groet|\
    met vriendelijke groeten|vriendelijke groet|groet|groeten|mvg|pozdrawiam|z poważaniem|\
    z wyrazami szacunku|med vänlig hälsning|med vänliga hälsningar|vänliga hälsningar|hälsningar|mvh|\
    med venlig hilsen|venlig hilsen|hilsen|de bedste hilsner|med vennlig hilsen|vennlig hilsen|\
    ystävällisin terveisin|terveisin|ystävällisesti|parhain terveisin|s pozdravem|s úctou|pozdrav|\
    s pozdravom|с уважением|с наилучшими пожеланиями|з повагою|saygılarımla|saygılarımızla|iyi çalışmalar|\
    üdvözlettel|tisztelettel|cu stimă|με εκτίμηση|よろしくお願いいたします|よろしくお願い致します|以上|敬具|此致|敬礼|祝好|谢谢|감사합니다";

/// Whether a line has what one reaches somebody by.
pub(in crate::mail::reply) fn is_contact(line: &str) -> bool {
    let digits = line.bytes().filter(u8::is_ascii_digit).count();
    any_in(CONTACT, line) || digits >= 6 && line.contains(['+', '/', '-', '(', ' ', '.'])
}

const CONTACT: &str = "\
    @|www.|http|tel|phone|fax|mobil|gsm|телефон|тел.|電話|电话|전화";

/// Whether a line has what somebody is asked for, and what is therefore no signature: the number of an order.
pub(in crate::mail::reply) fn is_reference(line: &str) -> bool {
    any_in(REFERENCE, line)
}

const REFERENCE: &str = "\
    number|nummer|numéro|numero|número|numer|номер|№|order|bestell|auftrag|kunde|customer|client|kund|\
    asiakas|iban|serial|serien|ticket|invoice|rechnung|facture|factura|fattura|fatura|commande|pedido|\
    ordine|zamów|objednáv|tilaus|sipariş|заказ|замовлен|注文|订单|訂單|주문|imei|password|passwort";

/// Whether a sentence says that the answers stand in the mail below it.
pub(in crate::mail::reply) fn answers_below(sentence: &str) -> bool {
    any_in(ANSWERS, sentence) && any_in(BELOW, sentence)
}

const ANSWERS: &str = "\
    answer|comment|respon|my repl|reply in|antwort|kommentar|réponse|commentaire|respuesta|comentario|\
    rispost|resposta|comentário|antwoord|opmerking|odpowied|vastau|odpověd|ответ|відповід|cevap|yanıt|回答|答复|\
    답변";

const BELOW: &str = "\
    below|inline|in-line|in line|in red|in blue|in green|in bold|between the lines|unten|weiter unten|\
    im text|zwischen den zeilen|in rot|rot |in blau|in grün|ci-dessous|ci-après|dans le texte|en rouge|\
    en bleu|en vert|más abajo|abajo|en rojo|en azul|en verde|qui sotto|di seguito|in rosso|in blu|abaixo|\
    a vermelho|em vermelho|hieronder|in rood|in blauw|poniżej|na czerwono|nedan|i rött|nedenfor|med rød|\
    i rødt|punaisella|níže|červen|ниже|красным|нижче|червоним|aşağıda|赤字";

/// Everything here, for a look at its form.
#[cfg(test)]
pub(super) const ALL: &[&str] = &[
    SENT,
    SENT_BY,
    LIST,
    SCANNER,
    DISCLAIMER,
    WARNING,
    FROM_OUTSIDE,
    CLOSING,
    CONTACT,
    REFERENCE,
    ANSWERS,
    BELOW,
];
