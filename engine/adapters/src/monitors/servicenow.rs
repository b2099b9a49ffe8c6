//! ServiceNow through the Table API: the change records of a wave. The account needs to read `change_request`.

use patchwave_core::verify::{Ask, GateAnswer, GateReading};
use patchwave_formats::monitors::servicenow_changes;

use super::client::Client;
use super::no_answer;
use super::saved::Saved;

const PRODUCT: &str = "ServiceNow";

/// What is wanted of a record.
const FIELDS: &str = "number,state,active,start_date,end_date,correlation_id,short_description";

pub fn live(client: &Client, url: &str, ask: &Ask) -> GateReading {
    let Ask::Change { subject } = ask else {
        return no_answer(PRODUCT, ask);
    };
    // The subject is made of DNS labels and a slash: nothing in it means anything in an encoded query.
    let wanted = format!("correlation_id={subject}^ORshort_descriptionLIKE{subject}");
    let query = [
        ("sysparm_query", wanted.as_str()),
        ("sysparm_fields", FIELDS),
        ("sysparm_display_value", "all"),
        ("sysparm_exclude_reference_link", "true"),
        ("sysparm_limit", "50"),
    ];
    let fetched = client.get(&format!("{url}/api/now/table/change_request"), &query)?;
    servicenow_changes(&fetched.ok()?).map(GateAnswer::Changes)
}

/// A folder has `changes.json`; which of them are about the wave is judged of their texts.
pub fn saved(saved: &Saved, ask: &Ask) -> GateReading {
    if !matches!(ask, Ask::Change { .. }) {
        return no_answer(PRODUCT, ask);
    }
    servicenow_changes(&saved.read("changes.json")?).map(GateAnswer::Changes)
}
