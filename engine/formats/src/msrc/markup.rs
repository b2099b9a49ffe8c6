//! The XML shape: CVRF 1.1 as Microsoft writes it, with kinds as words.

use super::{Product, Products, Records, Remediation, Threat, Vulnerability};
use crate::xml::{Element, trees};

pub(super) fn read(bytes: &[u8], records: &mut Records<'_>) {
    let mut products = Products::new();
    let wanted = |name: &str, above: &[String]| above.len() == 1 && matches!(name, "ProductTree" | "Vulnerability");
    let outcome = trees(bytes, &wanted, &mut |element| {
        if element.name == "ProductTree" {
            branch(&element, "", &mut products);
        } else {
            records.vulnerability(&vulnerability(&element), &products);
        }
    });
    match outcome {
        Ok(root) if root.as_deref() == Some("cvrfdoc") => {}
        Ok(root) => records.skip(&format!(
            "is no CVRF document: its root is `{}`",
            root.unwrap_or_default()
        )),
        Err(why) => records.skip(&format!("cannot be read further: {why}")),
    }
}

fn branch(element: &Element, family: &str, products: &mut Products) {
    // The family first: the same products stand again at the top of the tree, without it.
    for inner in element.all("Branch") {
        let family = match inner.attribute("Type") {
            Some("Product Family") => inner.attribute("Name").unwrap_or(family),
            _ => family,
        };
        branch(inner, family, products);
    }
    for product in element.all("FullProductName") {
        if let Some(id) = product.attribute("ProductID") {
            products.entry(id.trim().to_owned()).or_insert_with(|| Product {
                name: product.text.trim().to_owned(),
                family: family.to_owned(),
            });
        }
    }
}

fn vulnerability(element: &Element) -> Vulnerability {
    let rows = |group: &str, name: &'static str| {
        let group = element.children.iter().find(|child| child.name == *group);
        group.into_iter().flat_map(move |group| group.all(name))
    };
    let threat = |row: &Element| {
        let threat = match row.attribute("Type")? {
            "Exploit Status" => Threat::Exploit,
            "Severity" => Threat::Severity,
            _ => return None,
        };
        Some((threat, ids(row), row.text_of("Description").to_owned()))
    };
    let affected = rows("ProductStatuses", "Status").filter(|row| row.attribute("Type") == Some("Known Affected"));
    let fixes = rows("Remediations", "Remediation").filter(|row| row.attribute("Type") == Some("Vendor Fix"));
    Vulnerability {
        id: element.text_of("CVE").to_owned(),
        affected: affected.flat_map(ids).collect(),
        threats: rows("Threats", "Threat").filter_map(threat).collect(),
        vectors: rows("CVSSScoreSets", "ScoreSet")
            .map(|row| row.text_of("Vector").to_owned())
            .collect(),
        remediations: fixes
            .map(|row| Remediation {
                products: ids(row),
                article: row.text_of("Description").to_owned(),
                sort: row.text_of("SubType").to_owned(),
                build: row.text_of("FixedBuild").to_owned(),
                restart: row.text_of("RestartRequired").to_owned(),
            })
            .collect(),
        revisions: rows("RevisionHistory", "Revision")
            .map(|row| row.text_of("Date").to_owned())
            .collect(),
        lost: Vec::new(),
    }
}

fn ids(row: &Element) -> Vec<String> {
    row.all("ProductID").map(|id| id.text.trim().to_owned()).collect()
}
