#Requires -Version 5.1
#Requires -PSEdition Desktop
#Requires -Modules UpdateServices
<#
.SYNOPSIS
Writes what an update server knows of its computers: the file that a source of type wsus reads.
.DESCRIPTION
Reads only. One JSON object (version 1) with a computer a line, UTF-8 without a byte order mark. The server knows the build of a
computer without its update revision; -ReadBuild asks the registry of each computer for it, and leaves it out where none answers.
.EXAMPLE
.\export.ps1 -Path \\share\patchwave\observed\wsus01.json -Server wsus01.corp.example -Port 8531 -UseSsl -ReadBuild
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    [Parameter(Mandatory = $true)][string]$Path,
    [string]$Server = $env:COMPUTERNAME,
    [ValidateRange(1, 65535)][int]$Port = 8530,
    [switch]$UseSsl,
    # Updates that are installed are told as far back as they arrived at the server in so many days; needed ones always.
    [ValidateRange(1, 3650)][int]$InstalledDays = 400,
    [switch]$ReadBuild
)
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

function ConvertTo-UtcText {
    # The server's API gives instants in UTC without saying so.
    param([Parameter(Mandatory = $true)][datetime]$Instant)
    [datetime]::SpecifyKind($Instant, [System.DateTimeKind]::Utc).ToString('yyyy-MM-ddTHH:mm:ssZ', [System.Globalization.CultureInfo]::InvariantCulture)
}

function Get-UpdateFact {
    # What is the same of an update for every computer; asked for once.
    param([Parameter(Mandatory = $true)]$Info, [Parameter(Mandatory = $true)][hashtable]$Known)
    $id = $Info.UpdateId.ToString()
    if (-not $Known.ContainsKey($id)) {
        $update = $Info.GetUpdate()
        $Known[$id] = @{
            revision = $update.Id.RevisionNumber
            kbs = @($update.KnowledgebaseArticles | ForEach-Object -Process { "$_" })
            title = "$($update.Title)"
            eula = [bool]$update.RequiresLicenseAgreementAcceptance
            uninstallable = [bool]$update.UninstallationBehavior.IsSupported
            superseded = [bool]$update.IsSuperseded
        }
    }
    $Known[$id]
}

function Get-OsBuild {
    # The build with its update revision, from the registry of the computer; nothing where it does not answer.
    param([Parameter(Mandatory = $true)][string]$Computer)
    $hive = $null
    try {
        $hive = [Microsoft.Win32.RegistryKey]::OpenRemoteBaseKey([Microsoft.Win32.RegistryHive]::LocalMachine, $Computer)
        $key = $hive.OpenSubKey('SOFTWARE\Microsoft\Windows NT\CurrentVersion')
        $revision = $key.GetValue('UBR')
        if ($null -ne $revision) { "10.0.$($key.GetValue('CurrentBuildNumber')).$revision" }
    } catch {
        Write-Warning -Message "${Computer}: its build cannot be read: $($_.Exception.Message)"
    } finally {
        if ($null -ne $hive) { $hive.Close() }
    }
}

$generated = ConvertTo-UtcText -Instant ([datetime]::UtcNow)
$wsus = Get-WsusServer -Name $Server -PortNumber $Port -UseSsl:$UseSsl
$groups = @{}
foreach ($group in $wsus.GetComputerTargetGroups()) { $groups[$group.Id] = $group.Name }
$needed = New-Object -TypeName Microsoft.UpdateServices.Administration.UpdateScope
$needed.IncludedInstallationStates = 'NotInstalled, Downloaded, Failed, InstalledPendingReboot'
$installed = New-Object -TypeName Microsoft.UpdateServices.Administration.UpdateScope
$installed.IncludedInstallationStates = 'Installed'
$installed.FromArrivalDate = [datetime]::UtcNow.AddDays(-$InstalledDays)
$known = @{}

$target = $PSCmdlet.GetUnresolvedProviderPathFromPSPath($Path)
if (-not $PSCmdlet.ShouldProcess($target, 'Write the export')) { exit 0 }
# The file appears when it is whole.
$writer = New-Object -TypeName System.IO.StreamWriter -ArgumentList "$target.new", $false, (New-Object -TypeName System.Text.UTF8Encoding -ArgumentList $false)
try {
    $head = ConvertTo-Json -InputObject ([ordered]@{ version = 1; server = $Server; generated_at = $generated }) -Compress
    $writer.Write($head.TrimEnd('}') + ',"computers":[')
    $separator = "`n"
    foreach ($computer in $wsus.GetComputerTargets()) {
        $updates = New-Object -TypeName System.Collections.ArrayList
        foreach ($scope in @($needed, $installed)) {
            foreach ($info in $computer.GetUpdateInstallationInfoPerUpdate($scope)) {
                $fact = Get-UpdateFact -Info $info -Known $known
                $null = $updates.Add([ordered]@{
                        update_id = $info.UpdateId.ToString()
                        revision = $fact.revision
                        kbs = $fact.kbs
                        title = $fact.title
                        state = $info.UpdateInstallationState.ToString()
                        approval = $info.UpdateApprovalAction.ToString()
                        eula = $fact.eula
                        uninstallable = $fact.uninstallable
                        superseded = $fact.superseded
                    })
            }
        }
        $one = [ordered]@{
            id = "$($computer.Id)"
            fqdn = "$($computer.FullDomainName)"
            os = "$($computer.OSDescription)"
            arch = "$($computer.OSArchitecture)"
            groups = @($computer.ComputerTargetGroupIds | ForEach-Object -Process { "$($groups[$_])" })
            last_reported = ConvertTo-UtcText -Instant $computer.LastReportedStatusTime
            updates = $updates.ToArray()
        }
        if ($ReadBuild) {
            $build = Get-OsBuild -Computer $computer.FullDomainName
            if ($build) { $one['os_build'] = $build }
        }
        # Computer by computer: ConvertTo-Json keeps a list of one inside an object a list, and a whole server would not fit.
        $writer.Write($separator + (ConvertTo-Json -InputObject $one -Depth 6 -Compress))
        $separator = ",`n"
    }
    $writer.WriteLine("`n]}")
} finally {
    $writer.Close()
}
Move-Item -LiteralPath "$target.new" -Destination $target -Force
