//! What the scripts may call, each with its source. `learn.microsoft.com` is left out of the addresses.

/// Cmdlets with the parameters that are used of them (Windows PowerShell 5.1).
pub const COMMANDS: &[(&str, &[&str], &str)] = &[
    (
        "ConvertFrom-Json",
        &["-InputObject"],
        "powershell/module/microsoft.powershell.utility/convertfrom-json?view=powershell-5.1",
    ),
    (
        "ConvertTo-Json",
        &["-InputObject", "-Depth", "-Compress"],
        "powershell/module/microsoft.powershell.utility/convertto-json?view=powershell-5.1",
    ),
    (
        "ForEach-Object",
        &["-Process"],
        "powershell/module/microsoft.powershell.core/foreach-object?view=powershell-5.1",
    ),
    (
        "Get-FileHash",
        &["-LiteralPath", "-Algorithm"],
        "powershell/module/microsoft.powershell.utility/get-filehash?view=powershell-5.1",
    ),
    // -ComputerName is gone in PowerShell 6: another reason for `#Requires -PSEdition Desktop`.
    (
        "Get-Service",
        &["-ComputerName", "-Name"],
        "powershell/module/microsoft.powershell.management/get-service?view=powershell-5.1",
    ),
    (
        "Get-WsusServer",
        &["-Name", "-PortNumber", "-UseSsl"],
        "powershell/module/updateservices/get-wsusserver",
    ),
    (
        "Join-Path",
        &["-Path", "-ChildPath"],
        "powershell/module/microsoft.powershell.management/join-path?view=powershell-5.1",
    ),
    (
        "Move-Item",
        &["-LiteralPath", "-Destination", "-Force"],
        "powershell/module/microsoft.powershell.management/move-item?view=powershell-5.1",
    ),
    (
        "New-Item",
        &["-Path", "-ItemType", "-Force"],
        "powershell/module/microsoft.powershell.management/new-item?view=powershell-5.1",
    ),
    (
        "New-Object",
        &["-TypeName", "-ArgumentList"],
        "powershell/module/microsoft.powershell.utility/new-object?view=powershell-5.1",
    ),
    (
        "Select-Object",
        &["-Skip"],
        "powershell/module/microsoft.powershell.utility/select-object?view=powershell-5.1",
    ),
    (
        "Set-StrictMode",
        &["-Version"],
        "powershell/module/microsoft.powershell.core/set-strictmode?view=powershell-5.1",
    ),
    (
        "Test-Path",
        &["-LiteralPath", "-PathType"],
        "powershell/module/microsoft.powershell.management/test-path?view=powershell-5.1",
    ),
    (
        "Where-Object",
        &["-FilterScript"],
        "powershell/module/microsoft.powershell.core/where-object?view=powershell-5.1",
    ),
    (
        "Write-Verbose",
        &["-Message"],
        "powershell/module/microsoft.powershell.utility/write-verbose?view=powershell-5.1",
    ),
    (
        "Write-Warning",
        &["-Message"],
        "powershell/module/microsoft.powershell.utility/write-warning?view=powershell-5.1",
    ),
];

/// about_CommonParameters, as far as used: nothing.
pub const COMMON: &[&str] = &[];

/// Those that `SupportsShouldProcess` adds, as far as given by name: nothing, they come by preference variables.
pub const SHOULD_PROCESS: &[&str] = &[];

/// What may be called by an expression: the program that gives permits, and the shared functions.
pub const DYNAMIC: &[&str] = &[
    "$program",
    "(Join-Path -Path $PSScriptRoot -ChildPath '..\\..\\wsus\\functions.ps1')",
    "(Join-Path -Path $PSScriptRoot -ChildPath 'functions.ps1')",
];

const IUPDATE: &str = "previous-versions/windows/desktop/bb313429(v=vs.85): IUpdate";
const APPROVE: &str =
    "previous-versions/windows/desktop/ms747129(v=vs.85): IUpdate.Approve(action, group, deadline in UTC)";
const IAPPROVAL: &str = "previous-versions/windows/desktop/ms752706(v=vs.85): IUpdateApproval";
const ICOMPUTER: &str = "previous-versions/windows/desktop/aa354292(v=vs.85): IComputerTarget";
const IGROUP: &str = "previous-versions/windows/desktop/bb313322(v=vs.85): IComputerTargetGroup";
const ISERVER: &str = "previous-versions/windows/desktop/ms746997(v=vs.85): IUpdateServer";
const ICONFIGURATION: &str =
    "previous-versions/windows/desktop/bb295064(v=vs.85): IUpdateServerConfiguration, TargetingMode";
const IINFO: &str = "previous-versions/windows/desktop/ms744640(v=vs.85): IUpdateInstallationInfo";
const ISCOPE: &str = "previous-versions/windows/desktop/ms744640(v=vs.85): UpdateScope, ComputerTargetScope";
const NET: &str = "dotnet/api/?view=netframework-4.8";
const JSON: &str = "batch.json.hbs, openings.json, schemas/result/v1.json";
const OWN: &str = "a table of the script itself";
const SHELL: &str =
    "powershell/module/microsoft.powershell.core/about/about_functions_cmdletbindingattribute?view=powershell-5.1";

/// Methods.
pub const METHODS: &[(&str, &str)] = &[
    ("AcceptLicenseAgreement", IUPDATE),
    ("Add", NET),
    ("AddComputerTarget", IGROUP),
    ("AddDays", NET),
    ("Approve", APPROVE),
    ("Close", NET),
    ("ContainsKey", NET),
    ("CreateComputerTargetGroup", ISERVER),
    ("Delete", IAPPROVAL),
    ("GetComputerTargetByName", ISERVER),
    ("GetComputerTargetGroups", ISERVER),
    ("GetComputerTargets", ISERVER),
    ("GetConfiguration", ISERVER),
    ("GetUnresolvedProviderPathFromPSPath", SHELL),
    ("GetUpdate", ISERVER),
    ("GetUpdateApprovals", IUPDATE),
    ("GetUpdateInstallationInfoPerComputerTarget", IUPDATE),
    ("GetUpdateInstallationInfoPerUpdate", ICOMPUTER),
    ("GetValue", NET),
    ("OpenSubKey", NET),
    ("RemoveComputerTarget", IGROUP),
    ("ShouldProcess", SHELL),
    ("ToArray", NET),
    ("ToLowerInvariant", NET),
    ("ToString", NET),
    ("ToUniversalTime", NET),
    ("TrimEnd", NET),
    ("Write", NET),
    ("WriteLine", NET),
    (
        "[Microsoft.UpdateServices.Administration.UpdateRevisionId]::new",
        ISERVER,
    ),
    ("[Microsoft.Win32.RegistryKey]::OpenRemoteBaseKey", NET),
    ("[System.IO.File]::ReadAllLines", NET),
    ("[System.IO.File]::ReadAllText", NET),
    ("[System.IO.File]::WriteAllText", NET),
    ("[datetime]::Parse", NET),
    ("[datetime]::SpecifyKind", NET),
    ("[math]::Abs", NET),
];

/// Properties and fields.
pub const FACTS: &[(&str, &str)] = &[
    ("Action", IAPPROVAL),
    ("CanRequestUserInput", IUPDATE),
    ("ComputerTargetGroupIds", ICOMPUTER),
    ("ComputerTargetId", IINFO),
    ("Count", NET),
    ("Deadline", IAPPROVAL),
    ("Exception", NET),
    ("FromArrivalDate", ISCOPE),
    ("FullDomainName", ICOMPUTER),
    ("Hash", NET),
    ("Id", ICOMPUTER),
    ("IncludedInstallationStates", ISCOPE),
    ("InstallationBehavior", IUPDATE),
    ("IsDeclined", IUPDATE),
    ("IsLatestRevision", IUPDATE),
    ("IsReplicaServer", ICONFIGURATION),
    ("IsSuperseded", IUPDATE),
    ("IsSupported", IUPDATE),
    ("Keys", NET),
    ("KnowledgebaseArticles", IUPDATE),
    ("LastReportedStatusTime", ICOMPUTER),
    ("LastSyncTime", ICOMPUTER),
    ("Message", NET),
    ("Name", IGROUP),
    ("OSArchitecture", ICOMPUTER),
    ("OSDescription", ICOMPUTER),
    ("PSObject", SHELL),
    ("Planned", OWN),
    ("Properties", SHELL),
    ("PublicationState", IUPDATE),
    ("RequiresLicenseAgreementAcceptance", IUPDATE),
    ("RevisionNumber", IUPDATE),
    ("States", OWN),
    ("TargetingMode", ICONFIGURATION),
    ("Title", IUPDATE),
    ("TotalSeconds", NET),
    ("UninstallationBehavior", IUPDATE),
    ("Update", OWN),
    ("UpdateApprovalAction", IINFO),
    ("UpdateApprovalTargetGroupId", IINFO),
    ("UpdateId", IINFO),
    ("UpdateInstallationState", IINFO),
    ("Value", SHELL),
    ("Why", OWN),
    ("[Microsoft.Win32.RegistryHive]::LocalMachine", NET),
    ("[System.DateTimeKind]::Utc", NET),
    ("[System.Globalization.CultureInfo]::InvariantCulture", NET),
    ("[System.Globalization.DateTimeStyles]::RoundtripKind", NET),
    ("[datetime]::UtcNow", NET),
    ("[guid]::Empty", NET),
    ("action", JSON),
    ("assets", JSON),
    ("batch", JSON),
    ("batches", JSON),
    ("computer", JSON),
    ("cut", JSON),
    ("eula", JSON),
    ("group", JSON),
    ("kbs", OWN),
    ("name", JSON),
    ("openings", JSON),
    ("patchset", JSON),
    ("revision", JSON),
    ("rollback", JSON),
    ("rollout", JSON),
    ("startedAt", JSON),
    ("status", JSON),
    ("superseded", OWN),
    ("title", OWN),
    ("uninstallable", OWN),
    ("updateId", JSON),
    ("updates", JSON),
    ("wave", JSON),
];

/// Types.
pub const TYPES: &[(&str, &str)] = &[
    ("[Microsoft.UpdateServices.Administration.UpdateRevisionId]", ISERVER),
    ("[Microsoft.Win32.RegistryHive]", NET),
    ("[Microsoft.Win32.RegistryKey]", NET),
    ("[System.DateTimeKind]", NET),
    ("[System.Globalization.CultureInfo]", NET),
    ("[System.Globalization.DateTimeStyles]", NET),
    ("[System.IO.File]", NET),
    ("[bool]", NET),
    ("[datetime]", NET),
    ("[guid]", NET),
    ("[hashtable]", NET),
    ("[int]", NET),
    ("[math]", NET),
    ("[ordered]", SHELL),
    ("[string[]]", NET),
    ("[string]", NET),
    ("[switch]", SHELL),
];

/// Words that stand as arguments without quotes.
pub const WORDS: &[(&str, &str)] = &[
    ("Directory", "New-Item -ItemType"),
    ("Leaf", "Test-Path -PathType"),
    ("Microsoft.UpdateServices.Administration.ComputerTargetScope", ISCOPE),
    ("Microsoft.UpdateServices.Administration.UpdateScope", ISCOPE),
    ("SHA256", "Get-FileHash -Algorithm"),
    ("System.Collections.ArrayList", NET),
    ("System.IO.StreamWriter", NET),
    ("System.Text.UTF8Encoding", NET),
];

/// The cmdlets of each script, exactly.
pub const EXPECTED: &[(&str, &[&str])] = &[
    ("wsus/approve.ps1", &["Join-Path", "Set-StrictMode"]),
    (
        "wsus/export.ps1",
        &[
            "ConvertTo-Json",
            "ForEach-Object",
            "Get-WsusServer",
            "Move-Item",
            "New-Object",
            "Set-StrictMode",
            "Write-Warning",
        ],
    ),
    (
        "wsus/functions.ps1",
        &[
            "ConvertFrom-Json",
            "ConvertTo-Json",
            "ForEach-Object",
            "Get-FileHash",
            "Get-Service",
            "Get-WsusServer",
            "Join-Path",
            "Move-Item",
            "New-Item",
            "New-Object",
            "Select-Object",
            "Set-StrictMode",
            "Test-Path",
            "Where-Object",
            "Write-Verbose",
            "Write-Warning",
        ],
    ),
    ("wsus/rollback.ps1", &["Join-Path", "Set-StrictMode"]),
    ("wsus/withdraw.ps1", &["Join-Path", "Set-StrictMode", "Write-Warning"]),
];
