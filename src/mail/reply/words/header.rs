//! The words of headers: the labels of a header that is written out, and what stands before a subject.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use crate::mail::reply::words::set;

/// What a line of a quoted header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mail::reply) enum Label {
    From,
    Date,
    To,
    Subject,
    /// Another, which a header may have as well.
    Other,
}

/// The label that is called so.
pub(in crate::mail::reply) fn label(name: &str) -> Option<Label> {
    static LABELS: LazyLock<HashMap<&str, Label>> = LazyLock::new(|| {
        [
            (FROM, Label::From),
            (DATE, Label::Date),
            (TO, Label::To),
            (SUBJECT, Label::Subject),
            (OTHER, Label::Other),
        ]
        .into_iter()
        .flat_map(|(names, label)| names.split('|').map(move |name| (name, label)))
        .collect()
    });
    LABELS.get(name).copied()
}

const FROM: &str = "\
    from|von|de|da|van|od|från|fra|lähettäjä|от|от кого|отправитель|від|від кого|відправник|kimden|gönderen|\
    gönderici|差出人|送信者|送信元|発信者|发件人|发送人|发信人|寄件者|寄件人|發件人|보낸 사람|보낸사람|발신|발신자|보낸이|de la|expeditor|expeditorul|\
    feladó|από|šalje|pošiljatelj|absender|expéditeur|mittente|remitente|remetente|afzender|nadawca|\
    avsändare|afsender|avsender|odesílatel|odosielateľ|saatja|siuntėjas|מאת|من|từ|người gửi|dari|подател|\
    шаље";

const DATE: &str = "\
    sent|date|sent on|sent at|local time|gesendet|gesendet am|datum|envoyé|envoye|envoyé le|envoyée|\
    date d'envoi|date d’envoi|enviado|enviado el|enviado em|enviada|enviada em|fecha|fecha de envío|inviato|\
    inviato il|inviata|data|verzonden|verzonden op|wysłano|wysłane|wysłany|data wysłania|skickat|\
    skickat den|sendt|dato|lähetetty|lähetysaika|päivämäärä|päiväys|pvm|odesláno|odoslané|odoslaná|dátum|\
    отправлено|дата|дата отправки|надіслано|відправлено|gönderildi|gönderilmiş|gönderilen|gönderme tarihi|\
    gönderilme tarihi|gönderim tarihi|tarih|送信日時|送信日|日時|日付|发送时间|发送日期|发件时间|日期|时间|寄件日期|傳送日期|傳送時間|寄件時間|보낸 날짜|\
    보낸날짜|보낸 시간|보낸시간|날짜|일시|elküldve|trimis|dată|στάλθηκε|απεστάλη|ημερομηνία|poslano|изпратено|נשלח|תאריך|\
    تم الإرسال|التاريخ|ngày|đã gửi|dikirim|tanggal|saadetud|kuupäev";

const TO: &str = "\
    to|an|à|a|para|pour|aan|do|till|til|vastaanottaja|komu|кому|kime|alıcı|宛先|送信先|收件人|收件者|받는 사람|받는사람|받은 사람|\
    수신|수신자|받는이|către|catre|destinatar|destinatarul|címzett|προς|pre|za|prima|empfänger|destinataire|\
    destinataires|destinatario|destinatario/i|destinatari|destinatários|destinatário|ontvanger|odbiorca|\
    adresat|mottagare|modtager|mottaker|получатель|одержувач|до|אל|إلى|đến|tới|kepada|saaja";

const SUBJECT: &str = "\
    subject|betreff|betr.|objet|sujet|asunto|oggetto|assunto|onderwerp|temat|ämne|emne|aihe|předmět|predmet|\
    тема|konu|件名|主题|主題|主旨|标题|제목|subiect|subiectul|tárgy|θέμα|zadeva|naslov|относно|נושא|الموضوع|chủ đề|\
    tiêu đề|subjek|perihal|teema|tēma|tema";

const OTHER: &str = "\
    cc|bcc|kopie|kopie (cc)|kopia|kopi|kopio|kópia|copie|copie à|copia|cco|cci|ccn|dw|udw|копия|копія|bilgi|\
    gizli|抄送|副本|密送|참조|숨은 참조|másolatot kap|másolat|κοιν|κοιν.|κοινοποίηση|reply-to|reply to|antwort an|\
    répondre à|responder a|rispondi a|antwoord aan|odpowiedz do|svar til|svara till|vastaus|priority|\
    priorität|priorité|prioridad|priorità|prioridade|prioriteit|importance|wichtigkeit|importancia|\
    importância|importanza|urgentie|ważność|důležitost|важность|önem|重要度|重要性|중요도|attachments|anlagen|\
    anhänge|pièces jointes|datos adjuntos|allegati|anexos|bijlagen|załączniki|bifogade filer|\
    vedhæftede filer|vedlegg|liitteet|přílohy|вложения|вкладення|ekler|添付ファイル|附件|첨부 파일|utc time|\
    organization|mailed-by|signed-by|bearbeiter";

/// What a reply is called in a subject, and what a message that is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mail::reply) enum Prefix {
    Reply,
    Forward,
    /// `VS`: a reply in Finnish, passed on in Danish.
    Either,
}

/// What the word before the first colon of a subject says.
pub(in crate::mail::reply) fn prefix(word: &str) -> Option<Prefix> {
    static REPLIES: LazyLock<HashSet<&str>> = LazyLock::new(|| set(REPLY));
    static FORWARDS: LazyLock<HashSet<&str>> = LazyLock::new(|| set(FORWARD));
    if word == "vs" {
        Some(Prefix::Either)
    } else if REPLIES.contains(word) {
        Some(Prefix::Reply)
    } else {
        FORWARDS.contains(word).then_some(Prefix::Forward)
    }
}

const REPLY: &str = "\
    re|aw|antw|antwort|antwoord|sv|svar|odp|odpowiedź|odpověď|res|resp|r|rif|rép|ref|vá|válasz|ynt|yanıt|\
    cevap|回复|回覆|答复|答覆|返信|회신|답장|답변|ответ|отв|відп|відповідь|vast|vastaus|απ|απαντ|απάντηση|σχετ|atb|ats|hal|\
    bls|balas|trả lời|השב|תשובה|رد|одг|отг|resposta|respuesta|réponse|risposta|răsp|au|aut";

const FORWARD: &str = "\
    fw|fwd|wg|tr|rv|enc|i|fs|doorst|pd|vb|vl|vidarebefordrat|videresendt|videresend|i̇lt|ilt|trs|转发|轉寄|轉發|\
    転送|전달|fyi|пересл|пересилка|переслать|πρθ|tov|továbbítás|redir|redir.|rvs|inoltro|trans|fwd.|הועבר|\
    إعادة توجيه|chuyển tiếp|teruskan|přep|pre";

/// Everything here, for a look at its form.
#[cfg(test)]
pub(super) const ALL: &[&str] = &[FROM, DATE, TO, SUBJECT, OTHER, REPLY, FORWARD];
