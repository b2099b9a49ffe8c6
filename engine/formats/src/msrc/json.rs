//! The JSON shape. Kinds are numbers: threats 1 (exploit status) and 3 (severity), remediation 2 (vendor fix), product
//! status 3 (known affected), as Microsoft's own module reads them
//! (<https://github.com/microsoft/MSRC-Microsoft-Security-Updates-API>).

use serde_json::value::RawValue;

use super::{Product, Products, Records, Remediation, Threat, Vulnerability};
use crate::fields::{Fields, Text, fault};
use crate::xml::DEPTH_MAX;

const THREAT_EXPLOIT: i64 = 1;
const THREAT_SEVERITY: i64 = 3;
const REMEDIATION_FIX: i64 = 2;
const STATUS_AFFECTED: i64 = 3;

pub(super) fn read(raw: &[u8], records: &mut Records<'_>) {
    let fields = match Fields::parse(raw) {
        Ok(fields) => fields,
        Err(error) => return records.skip(&format!("is no CVRF document: {error}")),
    };
    if fields.raw("ProductTree").is_none() && fields.raw("Vulnerability").is_none() {
        let what = match fields.raw("document").is_some() {
            true => "it is CSAF, which the source type `csaf` is for",
            false => "it has neither `ProductTree` nor `Vulnerability`",
        };
        return records.skip(&format!("is no CVRF document: {what}"));
    }
    let mut products = Products::new();
    if let Ok(Some(tree)) = fields.get::<Fields<'_>>("ProductTree") {
        for raw in rows(&tree, "Branch").unwrap_or_default() {
            branch(raw, "", 0, &mut products);
        }
        for raw in rows(&tree, "FullProductName").unwrap_or_default() {
            branch(raw, "", 0, &mut products);
        }
    }
    match rows(&fields, "Vulnerability") {
        Ok(vulnerabilities) => {
            for raw in vulnerabilities {
                match vulnerability(raw) {
                    Ok(read) => records.vulnerability(&read, &products),
                    Err(why) => records.skip(&format!("is no vulnerability: {why}")),
                }
            }
        }
        Err(why) => records.skip(&format!("is no CVRF document: {why}")),
    }
}

fn rows<'a>(fields: &Fields<'a>, name: &str) -> Result<Vec<&'a RawValue>, String> {
    Ok(fields.get(name)?.unwrap_or_default())
}

/// A branch with its `Items`, or a product.
fn branch(raw: &RawValue, family: &str, depth: usize, products: &mut Products) {
    let Ok(fields) = Fields::parse(raw.get().as_bytes()) else {
        return;
    };
    let text = |name| fields.get::<Text<'_>>(name).ok().flatten();
    if let (Some(id), Some(name)) = (text("ProductID"), text("Value")) {
        products.entry(id.trim().to_owned()).or_insert_with(|| Product {
            name: name.trim().to_owned(),
            family: family.to_owned(),
        });
    }
    if depth < DEPTH_MAX {
        let inner = text("Name").filter(|_| depth > 0);
        let family = inner.as_deref().unwrap_or(family);
        for raw in rows(&fields, "Items").unwrap_or_default() {
            branch(raw, family, depth + 1, products);
        }
    }
}

fn vulnerability(raw: &RawValue) -> Result<Vulnerability, String> {
    let fields = Fields::parse(raw.get().as_bytes()).map_err(|error| error.to_string())?;
    let id: Text<'_> = fields.get("CVE")?.ok_or("it has no `CVE`")?;
    let mut read = Vulnerability {
        id: id.trim().to_owned(),
        ..Vulnerability::default()
    };
    let mut lost = Vec::new();
    let mut each = |name: &str, row: &mut dyn FnMut(&Fields<'_>) -> Result<(), String>| {
        let rows = rows(&fields, name).unwrap_or_else(|why| {
            lost.push(why);
            Vec::new()
        });
        for (raw, at) in rows.into_iter().zip(0..) {
            let name = format!("{name}[{at}]");
            let parsed = Fields::parse(raw.get().as_bytes()).map_err(|error| fault(&name, raw, &error));
            let taken = parsed.and_then(|fields| row(&fields).map_err(|why| format!("{name} was dropped: {why}")));
            lost.extend(taken.err());
        }
    };
    each("ProductStatuses", &mut |row| {
        if row.get::<i64>("Type")? == Some(STATUS_AFFECTED) {
            read.affected.extend(ids(row)?);
        }
        Ok(())
    });
    each("Threats", &mut |row| {
        let threat = match row.get::<i64>("Type")? {
            Some(THREAT_EXPLOIT) => Threat::Exploit,
            Some(THREAT_SEVERITY) => Threat::Severity,
            _ => return Ok(()),
        };
        read.threats.push((threat, ids(row)?, value(row, "Description")?));
        Ok(())
    });
    each("CVSSScoreSets", &mut |row| {
        read.vectors
            .extend(row.get::<Text<'_>>("Vector")?.map(|text| text.trim().to_owned()));
        Ok(())
    });
    each("Remediations", &mut |row| {
        if row.get::<i64>("Type")? == Some(REMEDIATION_FIX) {
            read.remediations.push(Remediation {
                products: ids(row)?,
                article: value(row, "Description")?,
                sort: word(row, "SubType")?,
                build: word(row, "FixedBuild")?,
                restart: value(row, "RestartRequired")?,
            });
        }
        Ok(())
    });
    each("RevisionHistory", &mut |row| {
        read.revisions.push(word(row, "Date")?);
        Ok(())
    });
    read.lost = lost;
    Ok(read)
}

fn ids(row: &Fields<'_>) -> Result<Vec<String>, String> {
    let ids = row.get::<Vec<Text<'_>>>("ProductID")?.unwrap_or_default();
    Ok(ids.iter().map(|id| id.trim().to_owned()).collect())
}

fn word(row: &Fields<'_>, name: &str) -> Result<String, String> {
    Ok(row
        .get::<Text<'_>>(name)?
        .map(|text| text.trim().to_owned())
        .unwrap_or_default())
}

/// The `Value` of an object; an object without one says nothing.
fn value(row: &Fields<'_>, name: &str) -> Result<String, String> {
    row.get::<Fields<'_>>(name)?
        .map_or_else(|| Ok(String::new()), |inner| word(&inner, "Value"))
}
