//! `nvidia-smi`: what `nvidia-smi -q -x` prints on a machine, one file a machine.
//!
//! The output does not say whose it is: the asset is the name of the file without its extensions, `gpu-01.corp.xml` or
//! `gpu-01.corp.xml.gz` is `gpu-01.corp`. Its time is the local one of the machine, without a zone, and is read as UTC:
//! run it as `TZ=UTC nvidia-smi -q -x`. An output without a time is skipped, and so is one whose time is ahead of now: east of
//! UTC its local time was read, and it would be taken for the newest there is.
//!
//! The driver it tells is the one that is loaded; what is installed stands in the package list. The document type names
//! a file beside it (`nvsmi_device_v12.dtd`), which nothing needs and nobody fetches.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use patchwave_core::observe::{Batch, Facts, Gpu, Provenance};

use crate::container::document_name;
use crate::documents::read_documents;
use crate::fields::excerpt;
use crate::reading::{CLOCK_SKEW, asset_name};
use crate::sheet::Sheet;
use crate::xml::{Element, trees};
use crate::{FormatEntry, InputFile};

/// The elements below the root that are read.
const WANTED: &[&str] = &["attached_gpus", "cuda_version", "driver_version", "gpu", "timestamp"];

/// Reads every output, in order of the paths. An output is a record.
pub(crate) fn read(entry: &FormatEntry, source: &Arc<str>, files: &[InputFile<'_>], now: Timestamp) -> Batch {
    let extensions = entry.extensions;
    read_documents(entry, source, files, &|bytes, at, sheet| {
        let at = Provenance {
            record: 1,
            ..at.clone()
        };
        if let Err(why) = output(bytes, &at, extensions, now, sheet) {
            sheet.skip(&at, why);
        }
    })
}

/// What an output says, as it stands there.
#[derive(Default)]
struct Output {
    timestamp: String,
    driver: String,
    cuda: String,
    attached: String,
    devices: Vec<Arc<str>>,
    /// The current MIG mode of each device.
    mig: Vec<String>,
}

fn output(bytes: &[u8], at: &Provenance, extensions: &[&str], now: Timestamp, sheet: &mut Sheet) -> Result<(), String> {
    let name = asset_name(&stem(&at.file, extensions))
        .map_err(|why| format!("the file is to be called as its machine: {why}"))?;
    let mut output = Output::default();
    let wanted = |name: &str, above: &[String]| above.len() == 1 && WANTED.contains(&name);
    let root =
        trees(bytes, &wanted, &mut |element| output.take(&element)).map_err(|why| format!("cannot be read: {why}"))?;
    if root.as_deref() != Some("nvidia_smi_log") {
        let start = String::from_utf8_lossy(bytes.get(..120).unwrap_or(bytes));
        return Err(format!(
            "is no output of `nvidia-smi -q -x`: it begins `{}`",
            excerpt(start.trim())
        ));
    }
    if output.timestamp.is_empty() {
        return Err(format!(
            "{name} has no `timestamp`, and facts without a time cannot be trusted"
        ));
    }
    let observed_at = time(&output.timestamp).ok_or_else(|| {
        format!(
            "{name}: `timestamp` reads `{}`, which is no time",
            excerpt(&output.timestamp)
        )
    })?;
    if observed_at.duration_since(now) > CLOCK_SKEW {
        return Err(format!(
            "{name}: its time {} is ahead of now ({now}): the output names no zone and is read as UTC, so it seems newer than it is; \
             run it as `TZ=UTC nvidia-smi -q -x`, or set the clock of the machine",
            excerpt(&output.timestamp)
        ));
    }
    if !output.attached.is_empty() && output.attached != output.devices.len().to_string() {
        let what = format!(
            "{name} has {} GPUs attached and tells of {}",
            excerpt(&output.attached),
            output.devices.len()
        );
        sheet.note(at, what);
    }
    let gpu = Gpu {
        driver: None,
        loaded: known(&output.driver),
        cuda: known(&output.cuda),
        mig: output.mig(),
        devices: output.devices,
        ..Gpu::default()
    };
    sheet.take_asset(
        at,
        name,
        (observed_at, now),
        Facts {
            gpu: Some(Arc::new(gpu)),
            ..Facts::default()
        },
    );
    Ok(())
}

impl Output {
    fn take(&mut self, element: &Element) {
        let text = element.text.trim();
        match element.name.as_str() {
            "timestamp" => self.timestamp = text.to_owned(),
            "driver_version" => self.driver = text.to_owned(),
            "cuda_version" => self.cuda = text.to_owned(),
            "attached_gpus" => self.attached = text.to_owned(),
            _ => {
                self.devices
                    .push(known(element.text_of("product_name")).unwrap_or_else(|| "unknown".into()));
                self.mig.extend(
                    element
                        .first("mig_mode")
                        .map(|mode| mode.text_of("current_mig").to_owned()),
                );
            }
        }
    }

    /// On if it is for any device; devices that cannot do it (`N/A`) say nothing.
    fn mig(&self) -> Option<bool> {
        let said = |word: &str| self.mig.iter().any(|mode| mode.eq_ignore_ascii_case(word));
        (said("enabled") || said("disabled")).then(|| said("enabled"))
    }
}

/// `N/A` and nothing are unknown.
fn known(text: &str) -> Option<Arc<str>> {
    (!matches!(text, "" | "N/A" | "Not Found" | "Unknown Error")).then(|| text.into())
}

/// The name of the document without the folder, its compression, and its extension.
fn stem(file: &str, extensions: &[&str]) -> String {
    let name = document_name(file).unwrap_or_default();
    match name.rsplit_once('.') {
        Some((stem, extension)) if extensions.iter().any(|known| known.eq_ignore_ascii_case(extension)) => {
            stem.to_owned()
        }
        _ => name,
    }
}

/// `Fri Aug  4 11:44:30 2023`, as ctime(3) writes it.
fn time(text: &str) -> Option<Timestamp> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [_weekday, rest @ ..] = words.as_slice() else {
        return None;
    };
    let local = DateTime::strptime("%b %d %H:%M:%S %Y", rest.join(" ")).ok()?;
    local.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(path: &str, text: &str) -> Batch {
        let files = [InputFile {
            path: path.into(),
            bytes: text.as_bytes().into(),
        }];
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        let batch = crate::read("nvidia-smi", &"smi".into(), &files, now).unwrap();
        let account = &batch.account;
        assert_eq!(account.read + account.skipped.len() as u64, account.total);
        batch
    }

    fn log(inside: &str) -> String {
        format!(
            "<?xml version=\"1.0\" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM \"nvsmi_device_v12.dtd\">\n<nvidia_smi_log>{inside}</nvidia_smi_log>"
        )
    }

    fn gpu(mig: &str) -> String {
        format!(
            "<gpu id=\"0\"><product_name>NVIDIA H100 80GB HBM3</product_name><mig_mode><current_mig>{mig}</current_mig></mig_mode><driver_version>1</driver_version></gpu>"
        )
    }

    const HEAD: &str = "<timestamp>Fri Nov  6 09:05:07 2026</timestamp><driver_version>550.54.15</driver_version><cuda_version>12.4</cuda_version>";

    #[test]
    fn an_output_is_the_machine_its_file_is_called_after() {
        let text = log(&format!(
            "{HEAD}<attached_gpus>2</attached_gpus>{}{}",
            gpu("Disabled"),
            gpu("Enabled")
        ));
        for path in ["gpu-01.corp.xml", "smi/gpu-01.corp.xml", "gpu-01.corp.XML"] {
            let batch = read_as(path, &text);
            assert_eq!(
                (batch.account.read, batch.account.notes.len()),
                (1, 0),
                "{:#?}",
                batch.account
            );
            let record = &batch.assets[0];
            assert_eq!(
                (&*record.name, record.observed_at.to_string().as_str()),
                ("gpu-01.corp", "2026-11-06T09:05:07Z")
            );
            let gpu = record.facts.gpu.as_ref().unwrap();
            assert_eq!(
                (gpu.loaded.as_deref(), gpu.driver.as_deref(), gpu.cuda.as_deref()),
                (Some("550.54.15"), None, Some("12.4"))
            );
            assert_eq!(
                (gpu.devices.len(), &*gpu.devices[0], gpu.mig),
                (2, "NVIDIA H100 80GB HBM3", Some(true))
            );
        }
    }

    #[test]
    fn what_is_not_said_is_unknown() {
        let batch = read_as(
            "a.xml",
            &log(&format!(
                "{}<attached_gpus>4</attached_gpus>{}",
                HEAD.replace("12.4", "N/A"),
                gpu("N/A")
            )),
        );
        let gpu = batch.assets[0].facts.gpu.as_ref().unwrap();
        assert_eq!((gpu.cuda.as_deref(), gpu.mig), (None, None));
        assert!(batch.account.notes[0].reason.contains("4 GPUs attached and tells of 1"));
    }

    #[test]
    fn what_cannot_be_believed_is_skipped() {
        let skipped = |path: &str, text: &str| read_as(path, text).account.skipped[0].reason.clone();
        let whole = log(HEAD);
        assert!(skipped("a b.xml", &whole).contains("called as its machine"));
        assert!(skipped("a.xml", &log("")).contains("no `timestamp`"));
        assert!(skipped("a.xml", &whole.replace("Nov  6", "soon")).contains("no time"));
        assert!(skipped("a.xml", "<html/>").contains("is no output"));
        assert!(skipped("a.xml", "NVIDIA-SMI has failed").contains("NVIDIA-SMI has failed"));
        assert!(skipped("a.xml", "").contains("is no output"));
        // Noon in UTC is nine in the evening in Tokyo; what is ahead by less is a clock that is a little fast.
        let ahead = skipped("a.xml", &whole.replace("Nov  6 09:05:07", "Nov 20 21:00:00"));
        assert!(ahead.contains("is ahead of now") && ahead.contains("TZ=UTC"), "{ahead}");
        assert!(
            read_as("a.xml", &whole.replace("Nov  6 09:05:07", "Nov 20 12:04:59"))
                .account
                .skipped
                .is_empty()
        );
        let entity = whole.replace("550.54.15", "&v;").replace(
            "SYSTEM \"nvsmi_device_v12.dtd\"",
            "[<!ENTITY v SYSTEM \"file:///etc/passwd\">]",
        );
        assert!(skipped("a.xml", &entity).contains("entity `v`"));
        assert!(skipped("a.xml", whole.strip_suffix("</nvidia_smi_log>").unwrap()).contains("ends inside"));
    }
}
