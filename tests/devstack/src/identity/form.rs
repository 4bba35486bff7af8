//! What a client posts: `application/x-www-form-urlencoded`.

use super::record::Kind;
use super::refusal::{self, Refusal};
use crate::http::Request;

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The fields of a form, in the order sent.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the body of a request. Nothing is in it if it says that it is something else.
    pub(super) fn of(request: &Request) -> Self {
        let kind = request.header("Content-Type").unwrap_or_default();
        let is_form = kind.split(';').next().is_some_and(|kind| kind == "application/x-www-form-urlencoded");
        let body = if request.method == "POST" && is_form { request.body.as_slice() } else { b"" };
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// A field, unless it is absent or empty.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter().filter(|(_, value)| !value.is_empty());
        fields.find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A field without which the request is refused.
    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.field(name).ok_or_else(|| refusal::lacks(name))
    }

    /// What is asked for at an endpoint.
    pub(super) fn kind(&self, endpoint: &str) -> Kind {
        match (endpoint, self.field("grant_type")) {
            ("devicecode", _) => Kind::DeviceCode,
            ("token", Some(DEVICE_CODE)) => Kind::Poll,
            ("token", Some("refresh_token")) => Kind::Refresh,
            ("token", Some("client_credentials")) if self.field("client_assertion").is_some() => {
                Kind::Assertion
            }
            ("token", Some("client_credentials")) => Kind::Secret,
            _ => Kind::Other,
        }
    }
}
