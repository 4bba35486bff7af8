//! What it means when the identity platform says no, and the cure.
//!
//! Pure. OAuth's `error` is a short list and AADSTS numbers are many and come and go, so that Microsoft
//! advises against depending on them: here a number that is known makes the words and the cure more exact,
//! and one that is not known leaves what `error` says. The text of `error_description` is never looked at,
//! beyond the number that it begins with. Numbers: Microsoft Entra authentication and authorization error
//! codes, and what administrators report, as of 2026.

use std::fmt;

/// What the identity platform said no for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The person declined, or declined to let the application in.
    Declined,
    /// Nobody signed in before the device code expired.
    CodeExpired,
    /// The sign-in has ended, for whatever reason.
    SignInEnded,
    /// The sign-in has ended because it was not used for long.
    SignInUnused,
    /// The sign-in has ended because the password was changed, or somebody revoked it.
    SignInRevoked,
    /// The sign-in has ended because the tenant wants one every so often.
    SignInTooOld,
    /// The tenant wants a second factor.
    SecondFactor,
    /// A policy of the tenant forbids it.
    Policy,
    /// The account is disabled, locked, or its password has expired.
    AccountDisabled,
    /// The account is not one of this tenant.
    WrongAccount,
    /// The account is not assigned to the application.
    NotAssigned,
    /// Neither the person nor an administrator has consented.
    ConsentMissing,
    /// The application's registration does not ask for the permission.
    PermissionMissing,
    /// There is no such tenant.
    UnknownTenant,
    /// The tenant is in another cloud.
    OtherCloud,
    /// An alias of many tenants was named where one tenant is needed.
    NoSingleTenant,
    /// The tenant has no Exchange Online.
    NoExchange,
    /// The tenant does not know the application.
    UnknownApplication,
    /// The application has been disabled.
    ApplicationDisabled,
    /// The application is for personal accounts only.
    PersonalOnly,
    /// The application is for work accounts only.
    WorkOnly,
    /// The application is for one tenant only.
    OneTenantOnly,
    /// The application is registered as one that can prove who it is, and did not.
    NoPublicClient,
    /// The application is registered as one that can't prove who it is, and tried to.
    PublicClient,
    /// The client secret is wrong.
    WrongSecret,
    /// The client secret has expired.
    ExpiredSecret,
    /// The certificate is not one of the application's, or has expired.
    WrongCertificate,
    /// The signed assertion is from another time.
    WrongClock,
    /// The application's proof of who it is was refused, for another reason.
    ProofRefused,
    /// The scope is not one that can be given.
    InvalidScope,
    /// Something else, named as OAuth names it.
    Other(&'static str),
}

impl Fault {
    /// The fault by OAuth's `error` and the AADSTS numbers beside it, and the number that told.
    pub(super) fn of(error: &str, numbers: &[u32]) -> (Self, Option<u32>) {
        // One number serves for several ends of a device sign-in, and `error` says which it was.
        let told_by_number = || numbers.iter().find_map(|&number| Some((Self::of_number(number)?, number)));
        match Self::of_device_sign_in(error) {
            Some(fault) => (fault, numbers.first().copied()),
            None => match told_by_number() {
                Some((fault, number)) => (fault, Some(number)),
                None => (Self::of_error(error), numbers.first().copied()),
            },
        }
    }

    /// Whether signing in again (`postroom login`) is what it takes, or a part of it.
    pub fn needs_sign_in(self) -> bool {
        match self {
            Self::Declined
            | Self::CodeExpired
            | Self::SignInEnded
            | Self::SignInUnused
            | Self::SignInRevoked
            | Self::SignInTooOld
            | Self::SecondFactor
            | Self::WrongAccount
            | Self::ConsentMissing => true,
            Self::Policy
            | Self::AccountDisabled
            | Self::NotAssigned
            | Self::PermissionMissing
            | Self::UnknownTenant
            | Self::OtherCloud
            | Self::NoSingleTenant
            | Self::NoExchange
            | Self::UnknownApplication
            | Self::ApplicationDisabled
            | Self::PersonalOnly
            | Self::WorkOnly
            | Self::OneTenantOnly
            | Self::NoPublicClient
            | Self::PublicClient
            | Self::WrongSecret
            | Self::ExpiredSecret
            | Self::WrongCertificate
            | Self::WrongClock
            | Self::ProofRefused
            | Self::InvalidScope
            | Self::Other(_) => false,
        }
    }

    /// What a person can do about it.
    pub fn cure(self) -> &'static str {
        match self {
            Self::Declined => "Run `postroom login` again, and accept what the application asks for.",
            Self::CodeExpired => "Run `postroom login` again, and enter the code while it is valid.",
            Self::SignInEnded | Self::SignInUnused | Self::SignInRevoked => {
                "Sign in again: `postroom login`."
            }
            Self::SignInTooOld => {
                "Sign in again: `postroom login`. To be asked less often, exempt the account from the \
                 sign-in frequency of Conditional Access, or use client_credentials."
            }
            Self::SecondFactor => {
                "Sign in again with the second factor: `postroom login`. If the tenant wants one each time, \
                 exempt the account in Conditional Access, or use client_credentials."
            }
            Self::Policy => {
                "See the sign-in log in the Entra admin center for the policy that forbids it (Conditional \
                 Access, security defaults, device code flow blocked). Exempt the account or the application, \
                 or use client_credentials."
            }
            Self::AccountDisabled => {
                "Enable or unlock the account, set its password if that has expired, then sign in again: \
                 `postroom login`."
            }
            Self::WrongAccount => {
                "Sign in with an account of the tenant in `tenant`, or correct that: \"consumers\" for personal \
                 accounts, the organisation's own tenant for work accounts."
            }
            Self::NotAssigned => {
                "Assign the account to the application: Entra admin center, Enterprise applications, Users \
                 and groups; or set \"Assignment required\" to No."
            }
            Self::ConsentMissing => {
                "Grant admin consent: Entra admin center, App registrations, API permissions. For a sign-in \
                 by device code, a person may consent there instead: `postroom login`."
            }
            Self::PermissionMissing => {
                "Add the permission to the registration, and grant admin consent: API permissions, Office \
                 365 Exchange Online, IMAP.AccessAsUser.All (delegated) for the device flow, IMAP.AccessAsApp \
                 (application) for client_credentials."
            }
            Self::UnknownTenant => {
                "Write `tenant` as it stands in the Entra admin center: the directory (tenant) id, or a \
                 verified domain; \"consumers\" for personal accounts."
            }
            Self::OtherCloud => {
                "Name the sign-in address of the tenant's national cloud in `authority`, such as \
                 https://login.microsoftonline.us."
            }
            Self::NoSingleTenant => "Write the tenant's id or domain in `tenant`, in place of an alias.",
            Self::NoExchange => {
                "See that the tenant has Exchange Online and that `tenant` is the right one. If it has, let \
                 an administrator consent to the application once, which makes Exchange known to it."
            }
            Self::UnknownApplication => {
                "Check `client_id` against the registration's application (client) id, and `tenant`. For \
                 personal accounts the registration must support personal Microsoft accounts; an application \
                 of another tenant needs an administrator's consent in this one first."
            }
            Self::ApplicationDisabled => {
                "Enable it: Entra admin center, Enterprise applications, Properties, \"Enabled for users to sign \
                 in\"."
            }
            Self::PersonalOnly => {
                "Set tenant = \"consumers\"; or, for a work account, let the registration support accounts in \
                 organizational directories."
            }
            Self::WorkOnly => {
                "Let the registration support personal Microsoft accounts; or, for a work account, write the \
                 organisation's tenant in `tenant`."
            }
            Self::OneTenantOnly => "Write the id of the registration's own tenant in `tenant`.",
            Self::NoPublicClient => {
                "Allow public client flows in the registration: Authentication, Advanced settings, Yes. \
                 Signing in by device code needs that."
            }
            Self::PublicClient => {
                "For client_credentials the registration must not be a public client: Authentication, \
                 Advanced settings, allow public client flows: No."
            }
            Self::WrongSecret => {
                "Give the secret's value in `client_secret`, not its id, and check `client_id`. The value is \
                 shown once only: make a new one if it is lost (Certificates & secrets)."
            }
            Self::ExpiredSecret => {
                "Make a new secret in the registration (Certificates & secrets), and give its value in \
                 `client_secret`. Consider a certificate, which may last longer."
            }
            Self::WrongCertificate => {
                "Upload the certificate of `certificate_file` to the registration (Certificates & secrets), \
                 and see that it has not expired there."
            }
            Self::WrongClock => "Set this machine's clock right, by NTP.",
            Self::ProofRefused => {
                "Check `client_id`, and the secret or certificate against the registration's (Certificates & \
                 secrets)."
            }
            Self::InvalidScope => {
                "Leave `scope` out, so that it has its default. If you need another, it must be of one \
                 resource; for client_credentials it ends with /.default."
            }
            Self::Other(_) => {
                "Look the AADSTS number up at https://login.microsoftonline.com/error, and see the sign-in \
                 log in the Entra admin center."
            }
        }
    }

    fn of_device_sign_in(error: &str) -> Option<Self> {
        match error {
            "authorization_declined" => Some(Self::Declined),
            "expired_token" | "code_expired" | "bad_verification_code" => Some(Self::CodeExpired),
            _ => None,
        }
    }

    fn of_number(number: u32) -> Option<Self> {
        let fault = match number {
            65_004 => Self::Declined,
            70_019 | 70_020 => Self::CodeExpired,
            50_089 | 54_005 | 70_000 | 70_008 => Self::SignInEnded,
            700_082 | 700_084 => Self::SignInUnused,
            50_132 | 50_133 | 50_173 => Self::SignInRevoked,
            50_078 | 70_043 => Self::SignInTooOld,
            50_072 | 50_074 | 50_076 | 50_079 | 50_158 | 53_004 => Self::SecondFactor,
            50_005
            | 50_097
            | 50_131
            | 50_155
            | 53_000..=53_003
            | 53_009..=53_011
            | 500_021
            | 500_022
            | 500_212
            | 500_213
            | 530_031..=530_036 => Self::Policy,
            50_053 | 50_055 | 50_057 | 50_135 | 50_144 => Self::AccountDisabled,
            16_000 | 16_003 | 50_014 | 50_020 | 50_034 | 51_004 | 90_072 | 500_200 | 500_201 | 500_208 => {
                Self::WrongAccount
            }
            50_105 => Self::NotAssigned,
            65_001 | 90_008 | 90_094 | 90_095 | 650_056 | 900_941 => Self::ConsentMissing,
            65_005 | 650_057 => Self::PermissionMissing,
            50_059 | 50_128 | 90_002 | 90_019 | 900_021 | 900_023 => Self::UnknownTenant,
            90_038 | 90_051 | 900_382 | 900_432 => Self::OtherCloud,
            90_124 | 90_130 | 9_001_023 => Self::NoSingleTenant,
            500_011 | 650_052 | 650_054 => Self::NoExchange,
            70_001 | 700_011 | 700_016 | 7_000_229 => Self::UnknownApplication,
            1_000_031 | 7_000_112 => Self::ApplicationDisabled,
            9_002_331 | 9_002_346 => Self::PersonalOnly,
            9_002_332 => Self::WorkOnly,
            50_194 => Self::OneTenantOnly,
            // 70002 in full: "The client application must be marked as 'mobile.'", for personal accounts.
            70_002 | 7_000_218 => Self::NoPublicClient,
            700_025 => Self::PublicClient,
            7_000_215 => Self::WrongSecret,
            7_000_222 => Self::ExpiredSecret,
            50_012 | 700_027 | 700_030 => Self::WrongCertificate,
            700_024 => Self::WrongClock,
            28_002 | 28_003 | 70_011 | 650_053 | 700_022 | 1_002_012 => Self::InvalidScope,
            _ => return None,
        };
        Some(fault)
    }

    fn of_error(error: &str) -> Self {
        match error {
            "access_denied" => Self::Declined,
            "invalid_grant" | "interaction_required" | "login_required" => Self::SignInEnded,
            "consent_required" => Self::ConsentMissing,
            "invalid_client" => Self::ProofRefused,
            "unauthorized_client" => Self::UnknownApplication,
            "invalid_scope" | "invalid_resource" | "invalid_target" => Self::InvalidScope,
            "invalid_request" => Self::Other("invalid_request"),
            "unsupported_grant_type" => Self::Other("unsupported_grant_type"),
            _ => Self::Other("an error that OAuth does not know"),
        }
    }
}

/// In words for a person. Holds nothing private.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Declined => "the sign-in was declined",
            Self::CodeExpired => "the code has expired before anybody signed in by it",
            Self::SignInEnded => "the sign-in is no longer valid",
            Self::SignInUnused => "the sign-in has expired, not having been used for long",
            Self::SignInRevoked => "the sign-in was revoked, or the password was changed",
            Self::SignInTooOld => "the tenant wants a sign-in more recent than the last one",
            Self::SecondFactor => "the tenant wants a second factor",
            Self::Policy => "a policy of the tenant forbids it",
            Self::AccountDisabled => "the account is disabled or locked, or its password has expired",
            Self::WrongAccount => "the account is not one of this tenant",
            Self::NotAssigned => "the account is not assigned to the application",
            Self::ConsentMissing => "nobody has consented that the application reads mail",
            Self::PermissionMissing => "the application's registration does not list the permission",
            Self::UnknownTenant => "there is no such tenant",
            Self::OtherCloud => "the tenant is in another cloud",
            Self::NoSingleTenant => "an alias of many tenants is named where one tenant is needed",
            Self::NoExchange => "the tenant has no Exchange Online, or does not know it yet",
            Self::UnknownApplication => "the tenant does not know the application",
            Self::ApplicationDisabled => "the application is disabled in this tenant",
            Self::PersonalOnly => "the application is registered for personal accounts only",
            Self::WorkOnly => "the application is registered for work accounts only",
            Self::OneTenantOnly => "the application is registered for its own tenant only",
            Self::NoPublicClient => "the application's registration does not allow public client flows",
            Self::PublicClient => "the application is registered as a public client, and gave a secret",
            Self::WrongSecret => "the client secret is wrong",
            Self::ExpiredSecret => "the client secret has expired",
            Self::WrongCertificate => "the certificate is not one of the application's, or has expired",
            Self::WrongClock => "what was signed with the certificate is from another time",
            Self::ProofRefused => "the application could not prove who it is",
            Self::InvalidScope => "the scope is not valid",
            Self::Other(error) => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Fault; 31] = [
        Fault::Declined,
        Fault::CodeExpired,
        Fault::SignInEnded,
        Fault::SignInUnused,
        Fault::SignInRevoked,
        Fault::SignInTooOld,
        Fault::SecondFactor,
        Fault::Policy,
        Fault::AccountDisabled,
        Fault::WrongAccount,
        Fault::NotAssigned,
        Fault::ConsentMissing,
        Fault::PermissionMissing,
        Fault::UnknownTenant,
        Fault::OtherCloud,
        Fault::NoSingleTenant,
        Fault::NoExchange,
        Fault::UnknownApplication,
        Fault::ApplicationDisabled,
        Fault::PersonalOnly,
        Fault::WorkOnly,
        Fault::OneTenantOnly,
        Fault::NoPublicClient,
        Fault::PublicClient,
        Fault::WrongSecret,
        Fault::ExpiredSecret,
        Fault::WrongCertificate,
        Fault::WrongClock,
        Fault::ProofRefused,
        Fault::InvalidScope,
        Fault::Other("invalid_request"),
    ];

    #[test]
    fn every_fault_is_told_in_words_of_its_own_and_has_a_cure() {
        let words: std::collections::BTreeSet<String> = ALL.iter().map(ToString::to_string).collect();

        assert_eq!(words.len(), ALL.len());
        for fault in ALL {
            let cure = fault.cure();
            assert!(cure.ends_with('.') && !cure.contains("  "), "{fault}: {cure}");
            assert_eq!(
                fault.needs_sign_in() && !cure.contains("postroom login"),
                fault == Fault::WrongAccount
            );
        }
    }

    #[test]
    fn a_number_makes_the_error_more_exact() {
        for (error, number, fault) in [
            ("invalid_grant", 700_082, Fault::SignInUnused),
            ("invalid_grant", 50_173, Fault::SignInRevoked),
            ("invalid_grant", 70_043, Fault::SignInTooOld),
            ("invalid_grant", 50_076, Fault::SecondFactor),
            ("interaction_required", 50_158, Fault::SecondFactor),
            ("access_denied", 53_003, Fault::Policy),
            ("invalid_grant", 50_057, Fault::AccountDisabled),
            ("invalid_request", 50_020, Fault::WrongAccount),
            ("invalid_grant", 65_001, Fault::ConsentMissing),
            ("invalid_request", 90_002, Fault::UnknownTenant),
            ("invalid_request", 900_023, Fault::UnknownTenant),
            ("unauthorized_client", 700_016, Fault::UnknownApplication),
            ("invalid_client", 7_000_229, Fault::UnknownApplication),
            ("invalid_request", 9_002_346, Fault::PersonalOnly),
            ("invalid_client", 70_002, Fault::NoPublicClient),
            ("invalid_client", 7_000_218, Fault::NoPublicClient),
            ("invalid_client", 7_000_215, Fault::WrongSecret),
            ("invalid_client", 7_000_222, Fault::ExpiredSecret),
            ("invalid_client", 700_027, Fault::WrongCertificate),
            ("invalid_client", 700_024, Fault::WrongClock),
            ("invalid_scope", 70_011, Fault::InvalidScope),
        ] {
            assert_eq!(Fault::of(error, &[number]), (fault, Some(number)), "{error} {number}");
        }
    }

    #[test]
    fn without_a_known_number_the_error_decides() {
        for (error, fault) in [
            ("invalid_grant", Fault::SignInEnded),
            ("interaction_required", Fault::SignInEnded),
            ("invalid_client", Fault::ProofRefused),
            ("unauthorized_client", Fault::UnknownApplication),
            ("invalid_scope", Fault::InvalidScope),
            ("invalid_request", Fault::Other("invalid_request")),
        ] {
            assert_eq!(Fault::of(error, &[]), (fault, None), "{error}");
            assert_eq!(Fault::of(error, &[1]), (fault, Some(1)), "{error}");
        }
        let (unheard_of, _) = Fault::of("canary", &[]);
        assert!(!unheard_of.to_string().contains("canary"), "{unheard_of}");
    }

    #[test]
    fn how_a_device_sign_in_ended_is_said_by_the_error_alone() {
        assert_eq!(Fault::of("authorization_declined", &[70_020]), (Fault::Declined, Some(70_020)));
        assert_eq!(Fault::of("expired_token", &[70_018]), (Fault::CodeExpired, Some(70_018)));
        assert_eq!(Fault::of("bad_verification_code", &[]), (Fault::CodeExpired, None));
    }

    #[test]
    fn of_several_numbers_the_one_that_is_known_tells() {
        assert_eq!(Fault::of("invalid_grant", &[1, 50_076]), (Fault::SecondFactor, Some(50_076)));
    }
}
