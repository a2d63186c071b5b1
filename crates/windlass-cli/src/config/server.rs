//! The settings of `windlass serve`, as a table: each a name, and how it is
//! read and shown.

use std::str::FromStr;

use windlass_server::{Config, JwtConfig};

use super::maintenance::{is_yes, yes_or_no};
use super::setting::ValueError;

/// What `windlass serve` is set to.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerSettings {
    config: Config,
    jwt: Jwt,
}

/// The settings of another issuer, which make sense together only.
#[derive(Clone, Debug, Default)]
struct Jwt {
    issuer: String,
    audience: String,
    jwks_file: String,
    algorithms: String,
    tenant_claim: String,
    groups_claim: String,
    leeway_s: u64,
}

impl ServerSettings {
    /// The settings as the server takes them. `Err` names what is missing for
    /// tokens of another issuer.
    pub(crate) fn config(&self) -> Result<Config, &'static str> {
        let mut config = self.config.clone();
        let jwt = &self.jwt;
        let needed = [
            ("server.jwt_issuer", &jwt.issuer),
            ("server.jwt_audience", &jwt.audience),
            ("server.jwt_jwks_file", &jwt.jwks_file),
        ];
        if needed.iter().all(|(_, value)| value.is_empty()) {
            return Ok(config);
        }
        if let Some((missing, _)) = needed.iter().find(|(_, value)| value.is_empty()) {
            return Err(missing);
        }
        let mut issuer = JwtConfig::new(&jwt.issuer, &jwt.audience, &jwt.jwks_file);
        if !jwt.algorithms.is_empty() {
            let names = jwt.algorithms.split(',').map(|name| name.trim().to_owned());
            issuer.algorithms = names.collect();
        }
        for (claim, name) in [
            (&mut issuer.tenant_claim, &jwt.tenant_claim),
            (&mut issuer.groups_claim, &jwt.groups_claim),
        ] {
            if !name.is_empty() {
                claim.clone_from(name);
            }
        }
        issuer.leeway_s = jwt.leeway_s;
        config.jwt = Some(issuer);
        Ok(config)
    }
}

/// One setting.
struct Entry {
    name: &'static str,
    is_number: bool,
    set: fn(&mut ServerSettings, &str) -> Result<(), ValueError>,
    value: fn(&ServerSettings) -> String,
}

/// A setting of the server; its place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Knob(usize);

fn read<T: FromStr>(place: &mut T, text: &str) -> Result<(), ValueError>
where
    ValueError: From<T::Err>,
{
    *place = text.parse()?;
    Ok(())
}

macro_rules! number {
    ($name:literal, $($field:ident).+) => {
        Entry {
            name: $name,
            is_number: true,
            set: |settings, text| read(&mut settings.$($field).+, text),
            value: |settings| settings.$($field).+.to_string(),
        }
    };
}

macro_rules! text {
    ($name:literal, $field:ident) => {
        Entry {
            name: $name,
            is_number: false,
            set: |settings, text| {
                text.clone_into(&mut settings.jwt.$field);
                Ok(())
            },
            value: |settings| settings.jwt.$field.clone(),
        }
    };
}

const TABLE: &[Entry] = &[
    Entry {
        name: "server.listen",
        is_number: false,
        set: |settings, text| read(&mut settings.config.listen, text),
        value: |settings| settings.config.listen.to_string(),
    },
    number!("server.connections_max", config.connections_max),
    number!("server.head_bytes_max", config.head_bytes_max),
    number!("server.headers_max", config.headers_max),
    number!("server.bodies_bytes_max", config.bodies_bytes_max),
    number!("server.head_ms", config.patience.head_ms),
    number!("server.body_ms", config.patience.body_ms),
    number!("server.idle_ms", config.patience.idle_ms),
    number!("server.write_ms", config.patience.write_ms),
    number!("server.request_ms_max", config.request_ms_max),
    number!("server.streams_max", config.streams_max),
    number!("server.heartbeat_ms", config.heartbeat_ms),
    number!("server.poll_ms", config.poll_ms),
    number!("server.long_poll_ms", config.long_poll_ms),
    Entry {
        name: "server.cors_origins",
        is_number: false,
        set: |settings, text| {
            let origins = text.split(',').map(|origin| origin.trim().to_owned());
            settings.config.cors_origins = origins.filter(|it| !it.is_empty()).collect();
            Ok(())
        },
        value: |settings| settings.config.cors_origins.join(", "),
    },
    Entry {
        name: "server.public_url",
        is_number: false,
        set: |settings, text| {
            let url = Some(text.trim().to_owned());
            settings.config.public_url = url.filter(|url| !url.is_empty());
            Ok(())
        },
        value: |settings| settings.config.public_url.clone().unwrap_or_default(),
    },
    number!("server.drain_ms", config.drain_ms),
    Entry {
        name: "server.maintain",
        is_number: false,
        set: |settings, text| {
            settings.config.maintain = is_yes(text)?;
            Ok(())
        },
        value: |settings| yes_or_no(settings.config.maintain).to_owned(),
    },
    number!("server.credential_ms", config.credential_ms),
    Entry {
        name: "server.metrics",
        is_number: false,
        set: |settings, text| {
            settings.config.metrics_public = match text {
                "public" => true,
                "operator" => false,
                _ => return Err(ValueError::Word("`operator`, `public`")),
            };
            Ok(())
        },
        value: |settings| match settings.config.metrics_public {
            true => "public".to_owned(),
            false => "operator".to_owned(),
        },
    },
    number!("server.history_interval_ms", config.history_interval_ms),
    number!("server.history_ms", config.history_ms),
    text!("server.jwt_issuer", issuer),
    text!("server.jwt_audience", audience),
    text!("server.jwt_jwks_file", jwks_file),
    text!("server.jwt_algorithms", algorithms),
    text!("server.jwt_tenant_claim", tenant_claim),
    text!("server.jwt_groups_claim", groups_claim),
    number!("server.jwt_leeway_s", jwt.leeway_s),
];

impl Knob {
    /// Where the server listens.
    pub(crate) const LISTEN: Self = Self(0);

    /// Every setting of the server.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..TABLE.len()).map(Self)
    }

    const fn entry(self) -> &'static Entry {
        &TABLE[self.0]
    }

    pub(crate) const fn name(self) -> &'static str {
        self.entry().name
    }

    pub(crate) const fn is_number(self) -> bool {
        self.entry().is_number
    }

    /// Sets it, if `text` is a value that it can have.
    pub(crate) fn set(self, settings: &mut ServerSettings, text: &str) -> Result<(), ValueError> {
        let mut next = settings.clone();
        (self.entry().set)(&mut next, text)?;
        next.config.check()?;
        *settings = next;
        Ok(())
    }

    pub(crate) fn value(self, settings: &ServerSettings) -> String {
        (self.entry().value)(settings)
    }
}
