//! Verbs that say nothing in a scene, and why.

/// The scenes, by the names of their transcripts.
pub(crate) const SCENES: [&str; 5] = ["missing", "binary", "denied", "no_quorum", "many"];

const ALL: &[&str] = &SCENES;
const ASKS_NONE: &[&str] = &["denied", "no_quorum"];
const NAMES_NOTHING: &[&str] = &["binary", "denied", "no_quorum", "many"];

const EXPLORE: &str = "its scenes are in explore";
const TRAVEL: &str = "its scenes are in travel";
const OWN_TEST: &str = "has tests of its own";
const NO_CLUSTER: &str = "asks no cluster";
const NO_KEYS: &str = "neither reads nor writes keys";
const ONE_KEY: &str = "the number of other keys does not matter to it";
const NO_TEXT: &str = "takes and shows nothing that a person has chosen";

/// A verb, scenes, and why it is not in them.
pub(crate) const REASONS: &[(&str, &[&str], &str)] = &[
    ("ls", ALL, EXPLORE),
    ("tree", ALL, EXPLORE),
    ("du", ALL, EXPLORE),
    ("count", ALL, EXPLORE),
    ("grep", ALL, EXPLORE),
    ("leases", ALL, EXPLORE),
    ("locks", ALL, EXPLORE),
    ("roles-for", ALL, EXPLORE),
    ("wait", ALL, EXPLORE),
    ("history", ALL, TRAVEL),
    ("diff", ALL, TRAVEL),
    ("restore", ALL, TRAVEL),
    ("rollback", ALL, TRAVEL),
    ("undo", ALL, TRAVEL),
    ("service register", ALL, OWN_TEST),
    ("service list", ALL, OWN_TEST),
    ("service resolve", ALL, OWN_TEST),
    ("service watch", ALL, OWN_TEST),
    ("backup", ALL, OWN_TEST),
    ("seq put", ALL, OWN_TEST),
    ("seq list", ALL, OWN_TEST),
    ("top", ALL, OWN_TEST),
    ("config run", ALL, OWN_TEST),
    ("config render", ALL, OWN_TEST),
    ("export", ALL, TRAVEL),
    ("import", ALL, TRAVEL),
    ("apply", ALL, TRAVEL),
    ("cp", ALL, TRAVEL),
    ("mv", ALL, TRAVEL),
    ("cas", ALL, TRAVEL),
    ("config push", ALL, TRAVEL),
    ("ui", ALL, OWN_TEST),
    ("playground", ALL, OWN_TEST),
    ("server", ALL, OWN_TEST),
    ("version", NAMES_NOTHING, NO_CLUSTER),
    ("options", NAMES_NOTHING, NO_CLUSTER),
    ("man", NAMES_NOTHING, NO_CLUSTER),
    ("completion", ASKS_NONE, NO_CLUSTER),
    ("explain", ASKS_NONE, NO_CLUSTER),
    ("ctx list", ASKS_NONE, NO_CLUSTER),
    ("ctx show", ASKS_NONE, NO_CLUSTER),
    ("ctx use", ASKS_NONE, NO_CLUSTER),
    ("ctx add", ASKS_NONE, NO_CLUSTER),
    ("ctx remove", ASKS_NONE, NO_CLUSTER),
    ("ctx import", ASKS_NONE, NO_CLUSTER),
    ("hashkv", ASKS_NONE, NO_CLUSTER),
    ("snapshot status", ASKS_NONE, NO_CLUSTER),
    ("snapshot restore", ASKS_NONE, NO_CLUSTER),
    ("completion", &["many"], NO_KEYS),
    ("explain", &["many"], NO_KEYS),
    ("ctx list", &["many"], NO_KEYS),
    ("ctx show", &["many", "binary"], NO_KEYS),
    ("ctx use", &["many"], NO_KEYS),
    ("ctx add", &["many"], NO_KEYS),
    ("ctx remove", &["many"], NO_KEYS),
    ("ctx import", &["many", "binary"], NO_KEYS),
    ("member list", &["many", "binary"], NO_KEYS),
    ("member add", &["many"], NO_KEYS),
    ("member remove", &["many"], NO_KEYS),
    ("member update", &["many"], NO_KEYS),
    ("member promote", &["many"], NO_KEYS),
    ("alarm list", &["many", "binary"], NO_KEYS),
    ("alarm disarm", &["many", "binary"], NO_KEYS),
    ("move-leader", &["many"], NO_KEYS),
    ("downgrade validate", &["many"], NO_KEYS),
    ("downgrade enable", &["many"], NO_KEYS),
    ("downgrade cancel", &["many", "binary"], NO_KEYS),
    ("auth status", &["many", "binary"], NO_KEYS),
    ("auth enable", &["many", "binary"], NO_KEYS),
    ("auth disable", &["many", "binary"], NO_KEYS),
    ("role list", &["many"], NO_KEYS),
    ("role add", &["many"], NO_KEYS),
    ("role get", &["many"], NO_KEYS),
    ("role delete", &["many"], NO_KEYS),
    ("role grant-permission", &["many"], NO_KEYS),
    ("role revoke-permission", &["many"], NO_KEYS),
    ("user list", &["many"], NO_KEYS),
    ("user add", &["many"], NO_KEYS),
    ("user get", &["many"], NO_KEYS),
    ("user delete", &["many"], NO_KEYS),
    ("user grant-role", &["many"], NO_KEYS),
    ("user revoke-role", &["many"], NO_KEYS),
    ("user passwd", &["many"], NO_KEYS),
    ("lease grant", &["many"], NO_KEYS),
    ("lease list", &["many", "binary"], NO_KEYS),
    ("lease keep-alive", &["many"], NO_KEYS),
    ("lock", &["many"], ONE_KEY),
    ("elect", &["many"], ONE_KEY),
    ("check perf", &["many"], "takes a minute: compare runs it"),
    ("check datascale", &["many"], "writes its own keys: compare runs it"),
    ("endpoint health", &["binary"], NO_TEXT),
    ("endpoint hashkv", &["binary"], NO_TEXT),
    ("defrag", &["binary"], NO_TEXT),
    ("doctor", &["binary"], NO_TEXT),
];

pub(crate) fn reason(verb: &str, scene: &str) -> Option<&'static str> {
    let mut found = REASONS.iter();
    let found = found.find(|(of, scenes, _)| *of == verb && scenes.contains(&scene));
    found.map(|(_, _, why)| *why)
}
