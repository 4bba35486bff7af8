//! What SASL mechanisms say (RFC 4422), ready to be sent: in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What OAUTHBEARER answers to the server's account of an error, so that its refusal may follow (RFC 7628 §3.2.3):
/// `%x01`. XOAUTH2 answers nothing.
pub(super) const OAUTHBEARER_DISMISSAL: &str = "AQ==";

/// The response of XOAUTH2 (Microsoft, "Authenticate an IMAP, POP or SMTP connection using OAuth"; Google's "XOAUTH2
/// mechanism").
pub(super) fn xoauth2(username: &str, token: &str) -> String {
    base64(&format!("user={username}\x01auth=Bearer {token}\x01\x01"))
}

/// The response of OAUTHBEARER (RFC 7628 §3.1). `host` and `port` are what was connected to.
pub(super) fn oauthbearer(username: &str, host: &str, port: u16, token: &str) -> String {
    // RFC 5801 §4, saslname.
    let username = username.replace('=', "=3D").replace(',', "=2C");
    base64(&format!("n,a={username},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01"))
}

/// The response of PLAIN (RFC 4616 §2), in the name of nobody but `username`.
pub(super) fn plain(username: &str, password: &str) -> String {
    base64(&format!("\0{username}\0{password}"))
}

/// One response of LOGIN (draft-murchison-sasl-login-00): the user name, then the password.
pub(super) fn login(value: &str) -> String {
    base64(value)
}

fn base64(message: &str) -> String {
    STANDARD.encode(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_documents() {
        // Microsoft's, and Google's before it.
        assert_eq!(
            xoauth2("test@contoso.onmicrosoft.com", "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA"),
            "dXNlcj10ZXN0QGNvbnRvc28ub25taWNyb3NvZnQuY29tAWF1dGg9QmVhcmVyIEV3QkFBbDNCQUFVRkZwVUFvN0ozVmUwYmp\
             MQldaV0NjbFJDM0VvQUEBAQ=="
        );
        // RFC 7628 §4.1.
        assert_eq!(
            oauthbearer(
                "user@example.com",
                "server.example.com",
                143,
                "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
            ),
            "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRm\
             dDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
        );
        // RFC 4616 §4, in base64.
        assert_eq!(plain("tim", "tanstaaftanstaaf"), "AHRpbQB0YW5zdGFhZnRhbnN0YWFm");
        assert_eq!(login("tim"), "dGlt");
    }

    #[test]
    fn what_separates_the_parts_of_a_name_is_escaped() {
        let said = STANDARD.decode(oauthbearer("a=b,c", "host", 993, "token")).unwrap();

        assert!(said.starts_with(b"n,a=a=3Db=2Cc,\x01host=host\x01port=993\x01"), "{said:?}");
    }
}
