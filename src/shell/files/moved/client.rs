//! The configuration of the reference's client, with its identities, which stay sealed.

use super::{Fields, Note, Report};
use crate::shell::files::ucl::{Document, Place};

/// What the client's file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFile {
    /// Who signs where nobody is named.
    pub default_identity: Option<String>,
    /// The network, as the file names it.
    pub network: Option<String>,
    /// The node's client service.
    pub connect: Option<String>,
    /// In the order of the file.
    pub identities: Vec<ClientIdentity>,
}

/// One identity, all in hex, and empty where it is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// Where it stands.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its public key.
    pub public_key: String,
    /// Its private key, sealed.
    pub private_key: String,
    /// Its seed, sealed.
    pub seed: String,
    /// What the key of the seal is made with beside the pass phrase.
    pub salt: String,
}

/// Reads the file of the reference's client.
///
/// # Errors
/// Unknown keys, and values of the wrong kind; all are told.
pub fn client(document: &Document) -> Result<ClientFile, Vec<Note>> {
    let mut report = Report::default();
    let mut root = Fields::new(&document.root);
    let mut text = |key| {
        let found = root.text(key, &mut report)?;
        Some(found.value.value()).filter(|text| !text.is_empty())
    };
    let (default_identity, network) = (text("default_identity"), text("network"));
    let connect = text("connect");
    let identities = root.each("identity", &mut report);
    let one = |mut fields: Fields<'_>| {
        let mut of = |fields: &mut Fields<'_>, key| {
            let found = fields.text(key, &mut report);
            found.map(|found| found.value.value()).unwrap_or_default()
        };
        let name = of(&mut fields, "name");
        let description = of(&mut fields, "description");
        let public_key = of(&mut fields, "public_key");
        let private_key = of(&mut fields, "private_key");
        let seed = of(&mut fields, "seed");
        let salt = fields
            .section("private_key_config", &mut report)
            .and_then(|mut config| {
                let salt = config.text("salt", &mut report);
                config.finish(&mut report);
                salt
            });
        fields.finish(&mut report);
        ClientIdentity {
            place: fields.place().clone(),
            name,
            description,
            public_key,
            private_key,
            seed,
            salt: salt.map(|found| found.value.value()).unwrap_or_default(),
        }
    };
    let identities = identities.into_iter().map(one).collect();
    root.finish(&mut report);
    if report.problems.is_empty() {
        Ok(ClientFile {
            default_identity,
            network,
            connect,
            identities,
        })
    } else {
        Err(report.problems)
    }
}
