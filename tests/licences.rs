//! Every package the node is built from has a licence that `deny.toml` allows.

use std::process::Command;

#[test]
fn every_package_has_an_allowed_licence() {
    let root = env!("CARGO_MANIFEST_DIR");
    let deny: toml::Table = std::fs::read_to_string(format!("{root}/deny.toml"))
        .expect("deny.toml is there")
        .parse()
        .expect("deny.toml is TOML");
    let allowed: Vec<spdx::Licensee> = deny["licenses"]["allow"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|text| spdx::Licensee::parse(text.as_str().expect("a text")).expect("a licence"))
        .collect();

    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version=1", "--offline"])
        .arg(format!(
            "--filter-platform={}-unknown-linux-gnu",
            std::env::consts::ARCH
        ))
        .current_dir(root)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let mut refused = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let text = package["license"].as_str().unwrap_or_default();
        let fine = spdx::Expression::parse_mode(text, spdx::ParseMode::LAX).is_ok_and(|license| {
            license.evaluate(|need| allowed.iter().any(|have| have.satisfies(need)))
        });
        if !fine {
            refused.push(format!("{name}: {text:?}"));
        }
    }
    assert!(packages.len() > 20, "only {} packages", packages.len());
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
