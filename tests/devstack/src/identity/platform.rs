//! The endpoints: who asks for what, and what comes of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use super::assertion::Proofs;
use super::device::{DeviceCode, Verdict};
use super::fault::{Effect, Fault};
use super::form::Form;
use super::habits::Habits;
use super::record::{Kind, Record};
use super::refusal::{self, Refusal};
use super::sign_in::{self, SignIn};
use super::tokens::{Access, Subject, Tokens};
use super::{CLIENT_ID, CLIENT_SECRET};
use crate::http::{Answer, Request};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What all connections share.
pub(super) struct Platform {
    pub(super) tokens: Tokens,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) habits: Habits,
    /// How often each is still to befall a request, and in which order.
    pub(super) faults: VecDeque<(u32, Fault)>,
    /// How many polls are still told to slow down.
    pub(super) slow_downs: u32,
    pub(super) secret_is_expired: bool,
    pub(super) codes: Vec<DeviceCode>,
    pub(super) proofs: Proofs,
    pub(super) records: Vec<Record>,
    /// By refresh token.
    sign_ins: HashMap<String, SignIn>,
    tokens: Tokens,
}

/// A request to one of the endpoints.
struct Call<'a> {
    tenant: &'a str,
    kind: Kind,
    form: Form,
    /// The URL that it was posted to.
    url: String,
}

impl Platform {
    pub(super) fn new(habits: Habits) -> Self {
        let tokens = Tokens::new();
        let state = State {
            habits,
            faults: VecDeque::new(),
            slow_downs: 0,
            secret_is_expired: false,
            codes: Vec::new(),
            proofs: Proofs::default(),
            records: Vec::new(),
            sign_ins: HashMap::new(),
            tokens: tokens.clone(),
        };
        Self { tokens, state: Mutex::new(state) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a request and records it.
    pub(super) fn respond(&self, request: &Request) -> Answer {
        let Some((tenant, endpoint)) = endpoint_of(&request.path) else { return Answer::status(404) };
        let form = Form::of(request);
        let call = Call {
            tenant,
            kind: form.kind(endpoint),
            form,
            url: format!("https://{}{}", request.header("Host").unwrap_or_default(), request.path),
        };
        self.state().take(&call)
    }
}

impl State {
    /// A sign-in as after a device code, without the code. Gives its refresh token.
    pub(super) fn sign_in(&mut self, sign_in: SignIn) -> Result<String> {
        let refresh_token = sign_in.refresh_token()?;
        self.sign_ins.insert(refresh_token.clone(), sign_in);
        Ok(refresh_token)
    }

    fn take(&mut self, call: &Call<'_>) -> Answer {
        let client_id = call.form.field("client_id").unwrap_or_default();
        let generation = call.form.field("refresh_token").and_then(|token| self.sign_ins.get(token));
        let mut record = Record {
            kind: call.kind,
            tenant: call.tenant.to_owned(),
            client_id: client_id.to_owned(),
            scope: call.form.field("scope").map(str::to_owned),
            generation: generation.map(|sign_in| sign_in.generation),
            at: Instant::now(),
            status: 0,
        };
        let (made, answer) = match self.next_fault().map(|fault| fault.effect(client_id, call.tenant)) {
            Some(Effect::Instead(answer)) => (answer.code(), answer),
            Some(Effect::After(change)) => {
                let answer = self.obey(call);
                (answer.code(), change(answer))
            }
            None => {
                let answer = self.obey(call);
                (answer.code(), answer)
            }
        };
        record.status = made;
        self.records.push(record);
        answer
    }

    fn next_fault(&mut self) -> Option<Fault> {
        let (times, fault) = self.faults.front_mut()?;
        let fault = *fault;
        *times -= 1;
        if *times == 0 {
            self.faults.pop_front();
        }
        Some(fault)
    }

    fn obey(&mut self, call: &Call<'_>) -> Answer {
        let outcome = call.form.required("client_id").and_then(|client_id| {
            if client_id != CLIENT_ID {
                return Err(refusal::application_not_found(client_id, call.tenant));
            }
            match call.kind {
                Kind::DeviceCode => self.offer_code(call),
                Kind::Poll => self.poll(call),
                Kind::Refresh => self.refresh(call),
                Kind::Secret | Kind::Assertion => self.grant_application(call),
                Kind::Other => Err(call
                    .form
                    .required("grant_type")
                    .map_or_else(|lacks| lacks, refusal::unknown_grant_type)),
            }
        });
        match outcome {
            Ok(body) => Answer::status(200).json(body),
            Err(refusal) => refusal.answer(),
        }
    }

    fn offer_code(&mut self, call: &Call<'_>) -> Result<Value, Refusal> {
        let scope = call.form.required("scope")?;
        let Habits { code_lifetime, interval, .. } = self.habits;
        let code = DeviceCode::new(call.tenant, scope, code_lifetime).map_err(broken)?;
        let offer = code.offer(code_lifetime, interval);
        self.codes.push(code);
        Ok(offer)
    }

    fn poll(&mut self, call: &Call<'_>) -> Result<Value, Refusal> {
        let given = call.form.required("device_code")?;
        let place = self.codes.iter().position(|code| code.code == given && code.tenant == call.tenant);
        let Some((place, code)) = place.and_then(|place| Some((place, self.codes.get(place)?))) else {
            return Err(refusal::unknown_code());
        };
        if code.is_expired() {
            return Err(refusal::code_expired());
        }
        match &code.verdict {
            Verdict::Declined => Err(refusal::declined()),
            Verdict::Pending if self.slow_downs > 0 => {
                self.slow_downs -= 1;
                Err(refusal::slow_down())
            }
            Verdict::Pending => Err(refusal::pending()),
            Verdict::Approved(account) => {
                let sign_in = SignIn {
                    account: account.clone(),
                    tenant: code.tenant.clone(),
                    scope: code.scope.clone(),
                    generation: 0,
                };
                // Good for once.
                self.codes.remove(place);
                self.grant(sign_in)
            }
        }
    }

    fn refresh(&mut self, call: &Call<'_>) -> Result<Value, Refusal> {
        let given = call.form.required("refresh_token")?;
        let old = self.sign_ins.get(given).filter(|old| old.tenant == call.tenant);
        let old = old.cloned().ok_or_else(refusal::unknown_grant)?;
        if self.habits.strict_rotation {
            self.sign_ins.remove(given);
        }
        let scope = call.form.field("scope").map_or_else(|| old.scope.clone(), str::to_owned);
        self.grant(SignIn { scope, generation: old.generation + 1, ..old })
    }

    fn grant(&mut self, sign_in: SignIn) -> Result<Value, Refusal> {
        let lifetime = self.habits.access_lifetime;
        let access = sign_in.access();
        let access_token = sign_in.access_token(CLIENT_ID, lifetime).map_err(broken)?;
        self.tokens.add(&access_token, access.clone(), lifetime);
        let id_token = sign_in.wants("openid").then(|| sign_in.id_token(CLIENT_ID, lifetime));
        let id_token = id_token.transpose().map_err(broken)?;
        let refresh_token = sign_in.wants("offline_access").then(|| self.sign_in(sign_in));
        let refresh_token = refresh_token.transpose().map_err(broken)?;
        Ok(json!({
            "token_type": "Bearer",
            "scope": access.scope(),
            "expires_in": lifetime.as_secs(),
            "ext_expires_in": lifetime.as_secs(),
            "access_token": access_token,
            "refresh_token": refresh_token,
            "id_token": id_token,
        }))
    }

    fn grant_application(&mut self, call: &Call<'_>) -> Result<Value, Refusal> {
        let scope = call.form.required("scope")?;
        let Some(audience) = scope.strip_suffix("/.default") else {
            return Err(refusal::scope_without_default(scope));
        };
        self.prove(call)?;
        let access = Access {
            subject: Subject::Application(CLIENT_ID.to_owned()),
            audience: audience.to_owned(),
            permissions: self.habits.roles.iter().map(ToString::to_string).collect(),
        };
        let lifetime = self.habits.access_lifetime;
        let access_token = sign_in::work_token(&access, CLIENT_ID, call.tenant, lifetime).map_err(broken)?;
        self.tokens.add(&access_token, access, lifetime);
        Ok(json!({
            "token_type": "Bearer",
            "expires_in": lifetime.as_secs(),
            "ext_expires_in": lifetime.as_secs(),
            "access_token": access_token,
        }))
    }

    /// Has the application prove that it is the one it says it is.
    fn prove(&mut self, call: &Call<'_>) -> Result<(), Refusal> {
        if let Some(assertion) = call.form.field("client_assertion") {
            if call.form.required("client_assertion_type")? != ASSERTION_TYPE {
                return Err(refusal::malformed_assertion());
            }
            return self.proofs.take(assertion, CLIENT_ID, &call.url);
        }
        match call.form.field("client_secret") {
            None => Err(refusal::no_proof()),
            Some(CLIENT_SECRET) if self.secret_is_expired => Err(refusal::secret_expired(CLIENT_ID)),
            Some(CLIENT_SECRET) => Ok(()),
            Some(_) => Err(refusal::wrong_secret(CLIENT_ID)),
        }
    }
}

/// The tenant and the last part of `/TENANT/oauth2/v2.0/ENDPOINT`.
fn endpoint_of(path: &str) -> Option<(&str, &str)> {
    let (tenant, endpoint) = path.strip_prefix('/')?.split_once("/oauth2/v2.0/")?;
    matches!(endpoint, "devicecode" | "token").then_some((tenant, endpoint))
}

/// There is no chance to be had from the system. A client learns that as it would of Microsoft's own trouble.
fn broken(_: anyhow::Error) -> Refusal {
    refusal::unavailable()
}
