//! What was found, for a person and for a program.

/// How bad it is. What could not be looked at is no fault, and is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Fine,
    Unknown,
    /// Worth knowing; nothing has to be done now.
    Note,
    Warning,
    Critical,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    Addresses,
    Leader,
    Members,
    Lag,
    Versions,
    Alarms,
    Quota,
    Fragmentation,
    Hashes,
    Disk,
    Clock,
    Certificates,
}

/// One result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub check: Check,
    /// Lower case, without a full stop.
    pub sentence: String,
    /// The next command, or what to do where no command helps.
    pub remedy: Option<String>,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Unknown => "unknown",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// Whether something has to be done.
    pub fn is_fault(self) -> bool {
        self >= Self::Warning
    }
}

impl Check {
    pub fn name(self) -> &'static str {
        match self {
            Self::Addresses => "addresses",
            Self::Leader => "leader",
            Self::Members => "members",
            Self::Lag => "lag",
            Self::Versions => "versions",
            Self::Alarms => "alarms",
            Self::Quota => "quota",
            Self::Fragmentation => "fragmentation",
            Self::Hashes => "hashes",
            Self::Disk => "disk",
            Self::Clock => "clock",
            Self::Certificates => "certificates",
        }
    }
}

impl Finding {
    pub(super) fn new(severity: Severity, check: Check, sentence: impl Into<String>) -> Self {
        Self { severity, check, sentence: sentence.into(), remedy: None }
    }

    pub(super) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}
