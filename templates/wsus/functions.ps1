#Requires -Version 5.1
# What the scripts of this folder share. Loading it does nothing; values come from batch-NN.json and openings.json, which are
# read as data and never run.

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

function Get-PatchwaveValue {
    # A member of an object read from JSON; $null where it is missing.
    param([Parameter(Mandatory = $true)]$Object, [Parameter(Mandatory = $true)][string]$Name)
    $property = $Object.PSObject.Properties[$Name]
    if ($null -ne $property) { $property.Value }
}

function Read-PatchwaveJson {
    param([Parameter(Mandatory = $true)][string]$Path)
    ConvertFrom-Json -InputObject ([System.IO.File]::ReadAllText($Path))
}

function Read-PatchwaveBatch {
    # The data of a batch. Everything is changed below its group only, so the group must be one of ours.
    param([Parameter(Mandatory = $true)][string]$Folder, [Parameter(Mandatory = $true)][string]$Batch)
    $data = Read-PatchwaveJson -Path (Join-Path -Path $Folder -ChildPath "batch-$Batch.json")
    # IUpdateServer.CreateComputerTargetGroup takes less than 256 characters, and none of ~!@#$^&*()=+[]\{}|;:'"<>/.
    if ($data.group -cnotmatch '^PW-[A-Za-z0-9._-]{1,252}$') {
        throw "the group $($data.group) of batch-$Batch.json is not one of patchwave, so it is left alone"
    }
    $data
}

function ConvertTo-PatchwaveInstant {
    # An instant as the engine writes it (RFC 3339, UTC). Text without a zone would be local time and is refused.
    param([Parameter(Mandatory = $true)][string]$Text)
    if ($Text -notmatch 'Z$') { throw "$Text is not an instant in UTC" }
    $invariant = [System.Globalization.CultureInfo]::InvariantCulture
    $style = [System.Globalization.DateTimeStyles]::RoundtripKind
    [datetime]::Parse($Text, $invariant, $style).ToUniversalTime()
}

function ConvertTo-PatchwaveUtc {
    # The server's API gives instants in UTC without saying so.
    param([Parameter(Mandatory = $true)][datetime]$Instant)
    [datetime]::SpecifyKind($Instant, [System.DateTimeKind]::Utc)
}

function Get-PatchwaveSums {
    # What runs is what was merged: every file of the rollout has its digest. Gives the digest of SHA256SUMS itself.
    param([Parameter(Mandatory = $true)][string]$Rollout)
    $sums = Join-Path -Path $Rollout -ChildPath 'SHA256SUMS'
    foreach ($line in [System.IO.File]::ReadAllLines($sums)) {
        if ($line -cnotmatch '^([0-9a-f]{64})  (.+)$') { throw "SHA256SUMS has a line that is none: $line" }
        $digest = $Matches[1]
        $name = $Matches[2]
        $file = Join-Path -Path $Rollout -ChildPath $name
        if (-not (Test-Path -LiteralPath $file -PathType Leaf)) { throw "$name is missing" }
        if ((Get-FileHash -LiteralPath $file -Algorithm SHA256).Hash -ne $digest) {
            throw "$name is not what was merged (if Git has rewritten the line ends, check out with core.autocrlf=false)"
        }
    }
    (Get-FileHash -LiteralPath $sums -Algorithm SHA256).Hash.ToLowerInvariant()
}

function Get-PatchwaveOpening {
    # The opening in which the batch may start now, from its start until its cutoff; nothing where there is none.
    param([Parameter(Mandatory = $true)][string]$Path, [Parameter(Mandatory = $true)][string]$Batch)
    $now = [datetime]::UtcNow
    $book = Get-PatchwaveValue -Object (Read-PatchwaveJson -Path $Path).batches -Name $Batch
    if ($null -eq $book) { return }
    foreach ($opening in @($book.openings)) {
        $start = Get-PatchwaveValue -Object $opening -Name 'start'
        $before = Get-PatchwaveValue -Object $opening -Name 'startBefore'
        if ($start -and (ConvertTo-PatchwaveInstant -Text $start) -gt $now) { continue }
        if ($before -and (ConvertTo-PatchwaveInstant -Text $before) -le $now) { continue }
        return $opening
    }
}

function Get-PatchwaveRefusal {
    # Asks the engine for the permit of an asset: nothing with a permit, else the reason.
    param(
        [Parameter(Mandatory = $true)][string[]]$Command,
        [Parameter(Mandatory = $true)]$Data,
        [Parameter(Mandatory = $true)][string]$Asset,
        [Parameter(Mandatory = $true)][string]$Sums
    )
    # What a program writes to its error stream is no error of this script.
    $ErrorActionPreference = 'Continue'
    $env:PATCHWAVE_ACTION = $Data.action
    $env:PATCHWAVE_SHA256SUMS = $Sums
    $program = $Command[0]
    $arguments = @($Command | Select-Object -Skip 1) + @($Data.rollout, $Data.wave, $Data.batch, $Asset)
    $global:LASTEXITCODE = 1
    try {
        $said = & $program @arguments 2>&1
        if ($LASTEXITCODE -ne 0) { "no permit: $(@($said) -join ' ')" }
    } catch {
        "no permit: $($_.Exception.Message)"
    }
}

function Connect-PatchwaveServer {
    param(
        [Parameter(Mandatory = $true)][string]$Server,
        [Parameter(Mandatory = $true)][int]$Port,
        [switch]$UseSsl
    )
    Get-WsusServer -Name $Server -PortNumber $Port -UseSsl:$UseSsl
}

function Assert-PatchwaveServer {
    # The server must let approvals and groups be made here, and must not belong to ConfigMgr, whose site would undo them.
    param([Parameter(Mandatory = $true)]$Wsus, [Parameter(Mandatory = $true)][string]$Server)
    $configuration = $Wsus.GetConfiguration()
    if ($configuration.IsReplicaServer) { throw "$Server is a replica: approve on its upstream server" }
    if ($configuration.TargetingMode.ToString() -ne 'Server') {
        throw "$Server leaves groups to its clients (client-side targeting), so no computer can be put into a group here"
    }
    # A wildcard that finds nothing is no error; a server that does not answer is one, and unknown is not fine.
    $services = @(Get-Service -ComputerName $Server -Name 'SMS_*')
    if ($services.Count -gt 0) {
        throw "$Server is a site system of ConfigMgr ($($services[0].Name)): its site decides, use the target sccm"
    }
}

function Get-PatchwaveGroup {
    param([Parameter(Mandatory = $true)]$Wsus, [Parameter(Mandatory = $true)][string]$Name)
    $Wsus.GetComputerTargetGroups() | Where-Object -FilterScript { $_.Name -eq $Name }
}

function Get-PatchwaveUpdate {
    # Every update of the batch by its id: the update, why it is not approved, and its state on each computer.
    param([Parameter(Mandatory = $true)]$Wsus, [Parameter(Mandatory = $true)]$Data)
    $found = @{}
    foreach ($planned in @($Data.assets | ForEach-Object -Process { $_.updates })) {
        $id = $planned.updateId
        if ($found.ContainsKey($id)) { continue }
        $known = @{ Planned = $planned; Update = $null; Why = ''; States = @{} }
        $found[$id] = $known
        try {
            $revision = [Microsoft.UpdateServices.Administration.UpdateRevisionId]::new([guid]$id, [int]$planned.revision)
            $known.Update = $Wsus.GetUpdate($revision)
            $scope = New-Object -TypeName Microsoft.UpdateServices.Administration.ComputerTargetScope
            foreach ($info in $known.Update.GetUpdateInstallationInfoPerComputerTarget($scope)) {
                $known.States[$info.ComputerTargetId] = $info
            }
            $known.Why = Get-PatchwaveObjection -Known $known -Action $Data.action
        } catch {
            $known.Why = "update $id revision $($planned.revision): $($_.Exception.Message)"
        }
    }
    $found
}

function Get-PatchwaveObjection {
    # Why an update is not approved; an empty text where nothing speaks against it.
    param([Parameter(Mandatory = $true)]$Known, [Parameter(Mandatory = $true)][string]$Action)
    $update = $Known.Update
    $name = "update $($Known.Planned.updateId) ($($update.Title))"
    if ($Action -eq 'rollback') {
        if (-not $update.UninstallationBehavior.IsSupported) { return "$name cannot be uninstalled: there is no way back through WSUS" }
        return ''
    }
    if ($update.PublicationState.ToString() -eq 'Expired') { return "$name has expired" }
    if ($update.IsDeclined) { return "$name was declined" }
    # Superseded is no objection: the next month's update supersedes what the earlier waves of this rollout have proved.
    if (-not $update.IsLatestRevision) { return "$name has a newer revision than the one that was tested: plan again" }
    if ($update.InstallationBehavior.CanRequestUserInput) { return "$name may ask its user something, so it can have no deadline" }
    if ($update.RequiresLicenseAgreementAcceptance -and -not $Known.Planned.eula) {
        return "$name has a license agreement that the pull request did not name, so nobody has accepted it"
    }
    ''
}

function Get-PatchwaveHindrance {
    # Why an asset is left alone; nothing where it may be taken. Everything the server knows, before its permit is asked.
    param(
        [Parameter(Mandatory = $true)]$Asset,
        [Parameter(Mandatory = $true)]$Computer,
        [Parameter(Mandatory = $true)]$Data,
        [Parameter(Mandatory = $true)]$Updates,
        $Group
    )
    if (@($Asset.updates).Count -eq 0) { return 'no update of the server is planned for it' }
    $own = if ($null -eq $Group) { [guid]::Empty } else { $Group.Id }
    foreach ($other in $Computer.GetComputerTargetGroups()) {
        if ($other.Name -like 'PW-*' -and $other.Id -ne $own) { return "it still is in the group $($other.Name): withdraw that batch first" }
    }
    $planned = @($Asset.updates | ForEach-Object -Process { $_.updateId })
    foreach ($id in @($Updates.Keys)) {
        $known = $Updates[$id]
        $info = $known.States[$Computer.Id]
        if ($planned -notcontains $id) {
            # An approval of the group reaches every member: to install, those that need the update or whose state is not known; to
            # uninstall, those that have it.
            $state = if ($null -eq $info) { 'Unknown' } else { $info.UpdateInstallationState.ToString() }
            $spared = if ($Data.action -eq 'patch') { @('Installed', 'InstalledPendingReboot', 'NotApplicable') } else { @('NotInstalled', 'Downloaded', 'NotApplicable') }
            if ($spared -notcontains $state) {
                return "update $id, which is planned for others of its group only, would reach it too (its state is $state)"
            }
            continue
        }
        if ($known.Why) { return $known.Why }
        if ($null -eq $info) { continue }
        $approved = $info.UpdateApprovalAction.ToString() -eq 'Install'
        if ($Data.action -eq 'patch' -and $approved -and $info.UpdateApprovalTargetGroupId -ne $own) {
            return "update $id is approved for another group of it, so it is installed whenever its client likes: remove that approval"
        }
    }
    if ($Data.action -eq 'rollback' -and $Asset.rollback -ne 'exact') {
        return "its way back is $($Asset.rollback): there is none through WSUS"
    }
}

function Test-PatchwaveConfigMgr {
    # Whether the client of ConfigMgr is installed on a host. A host that does not answer throws: unknown is not fine.
    param([Parameter(Mandatory = $true)][string]$Computer)
    @(Get-Service -ComputerName $Computer -Name 'CcmExec*').Count -gt 0
}

function Get-PatchwaveResultPath {
    param(
        [Parameter(Mandatory = $true)][string]$Folder,
        [Parameter(Mandatory = $true)]$Data,
        [Parameter(Mandatory = $true)][string]$Asset
    )
    Join-Path -Path $Folder -ChildPath "$($Data.rollout).$($Data.wave).$($Data.batch).$Asset.$($Data.action).json"
}

function Get-PatchwaveStatus {
    # What the result of an asset says: `started` until it is concluded; empty where there is none.
    param([Parameter(Mandatory = $true)][string]$Path)
    if (-not (Test-Path -LiteralPath $Path -PathType Leaf)) { return '' }
    (Read-PatchwaveJson -Path $Path).status
}

function Write-PatchwaveResult {
    # One file an asset, batch and action: schemas/result/v1.json.
    [CmdletBinding(SupportsShouldProcess = $true)]
    param(
        [Parameter(Mandatory = $true)][string]$Folder,
        [Parameter(Mandatory = $true)]$Data,
        [Parameter(Mandatory = $true)][string]$Asset,
        [Parameter(Mandatory = $true)][string]$Status,
        [Parameter(Mandatory = $true)][string]$Stage,
        [string]$Reason = '',
        [string]$Sums = '',
        [datetime]$StartedAt = [datetime]::UtcNow,
        [bool]$Changed = $false,
        [bool]$PendingReboot = $false
    )
    $format = 'yyyy-MM-ddTHH:mm:ssZ'
    $invariant = [System.Globalization.CultureInfo]::InvariantCulture
    $result = [ordered]@{
        formatVersion = '1.0'
        rollout = $Data.rollout
        wave = $Data.wave
        batch = $Data.batch
        asset = $Asset
        patchset = $Data.patchset
        action = $Data.action
        status = $Status
        stage = $Stage
        reason = $Reason
        startedAt = $StartedAt.ToString($format, $invariant)
        changed = $Changed
        rebooted = $false
    }
    if ($Sums) { $result['sums'] = $Sums }
    if ($Status -ne 'started') { $result['finishedAt'] = [datetime]::UtcNow.ToString($format, $invariant) }
    if ($Status -eq 'ok') { $result['pendingReboot'] = $PendingReboot }
    $path = Get-PatchwaveResultPath -Folder $Folder -Data $Data -Asset $Asset
    Write-Verbose -Message "${Asset}: $Status $Reason"
    if ($PSCmdlet.ShouldProcess($path, 'Write the result')) {
        $null = New-Item -Path $Folder -ItemType Directory -Force
        $text = ConvertTo-Json -InputObject $result -Depth 4
        # UTF-8 without a byte order mark, and never half a file.
        [System.IO.File]::WriteAllText("$path.new", $text, (New-Object -TypeName System.Text.UTF8Encoding -ArgumentList $false))
        Move-Item -LiteralPath "$path.new" -Destination $path -Force
    }
}

function Get-PatchwaveState {
    # The state of each planned update on a computer, as its client last told the server (UpdateInstallationState).
    param([Parameter(Mandatory = $true)]$Asset, [Parameter(Mandatory = $true)]$Updates, [Parameter(Mandatory = $true)]$Computer)
    foreach ($planned in @($Asset.updates)) {
        $info = $Updates[$planned.updateId].States[$Computer.Id]
        if ($null -eq $info) { 'Unknown' } else { $info.UpdateInstallationState.ToString() }
    }
}

function Test-PatchwaveDone {
    # Whether the server knows every planned update to be where the batch wants it.
    param(
        [Parameter(Mandatory = $true)]$Data,
        [Parameter(Mandatory = $true)]$Asset,
        [Parameter(Mandatory = $true)]$Updates,
        [Parameter(Mandatory = $true)]$Computer
    )
    $wanted = if ($Data.action -eq 'patch') { @('Installed', 'InstalledPendingReboot') } else { @('NotInstalled', 'Downloaded') }
    $states = @(Get-PatchwaveState -Asset $Asset -Updates $Updates -Computer $Computer)
    $states.Count -gt 0 -and @($states | Where-Object -FilterScript { $wanted -notcontains $_ }).Count -eq 0
}

function Complete-PatchwaveAsset {
    # Concludes a released asset by what its client has told the server since. What nobody can tell stays `started`.
    [CmdletBinding(SupportsShouldProcess = $true)]
    param(
        [Parameter(Mandatory = $true)][string]$Folder,
        [Parameter(Mandatory = $true)]$Data,
        [Parameter(Mandatory = $true)]$Asset,
        [Parameter(Mandatory = $true)][datetime]$StartedAt,
        [Parameter(Mandatory = $true)]$Updates,
        $Computer
    )
    if ($null -eq $Computer) { return }
    $states = @(Get-PatchwaveState -Asset $Asset -Updates $Updates -Computer $Computer)
    $result = @{ Folder = $Folder; Data = $Data; Asset = $Asset.name; StartedAt = $StartedAt }
    if ((ConvertTo-PatchwaveUtc -Instant $Computer.LastReportedStatusTime) -gt $StartedAt) {
        if (Test-PatchwaveDone -Data $Data -Asset $Asset -Updates $Updates -Computer $Computer) {
            $waits = $states -contains 'InstalledPendingReboot'
            Write-PatchwaveResult @result -Status 'ok' -Stage 'done' -Changed $true -PendingReboot $waits
            return
        }
        if ($states -contains 'Failed') {
            Write-PatchwaveResult @result -Status 'failed' -Stage $Data.action -Changed $true -Reason 'its client reports that an update failed'
            return
        }
    }
    if ((ConvertTo-PatchwaveUtc -Instant $Computer.LastSyncTime) -lt $StartedAt) {
        Write-PatchwaveResult @result -Status 'not-attempted' -Stage 'window' -Reason 'its client did not ask the server while the batch was open'
        return
    }
    Write-Warning -Message "$($Asset.name): its client has asked, and has not told what became of it; withdraw again later, or let the engine look"
}

function Remove-PatchwaveRelease {
    # Withdraws a batch: its approvals, its members, its group. What a client has begun, it finishes.
    [CmdletBinding(SupportsShouldProcess = $true)]
    param([Parameter(Mandatory = $true)]$Group, [Parameter(Mandatory = $true)]$Updates)
    foreach ($id in @($Updates.Keys)) {
        $update = $Updates[$id].Update
        if ($null -eq $update) { continue }
        foreach ($approval in @($update.GetUpdateApprovals($Group))) {
            if ($PSCmdlet.ShouldProcess("$($Group.Name): $($update.Title)", 'Remove the approval')) { $approval.Delete() }
        }
    }
    foreach ($computer in @($Group.GetComputerTargets())) {
        if ($PSCmdlet.ShouldProcess("$($Group.Name): $($computer.FullDomainName)", 'Remove the member')) { $Group.RemoveComputerTarget($computer) }
    }
    if ($PSCmdlet.ShouldProcess($Group.Name, 'Delete the group')) { $Group.Delete() }
}

function Set-PatchwaveMember {
    # Makes the members of the group exactly those that are admitted; takes out first.
    [CmdletBinding(SupportsShouldProcess = $true)]
    param([Parameter(Mandatory = $true)]$Group, [Parameter(Mandatory = $true)][hashtable]$Admitted)
    $there = @{}
    foreach ($computer in @($Group.GetComputerTargets())) {
        $there[$computer.Id] = $true
        if (-not $Admitted.ContainsKey($computer.Id)) {
            if ($PSCmdlet.ShouldProcess("$($Group.Name): $($computer.FullDomainName)", 'Remove the member')) { $Group.RemoveComputerTarget($computer) }
        }
    }
    foreach ($id in @($Admitted.Keys)) {
        if ($there.ContainsKey($id)) { continue }
        $computer = $Admitted[$id]
        if ($PSCmdlet.ShouldProcess("$($Group.Name): $($computer.FullDomainName)", 'Add the member')) { $Group.AddComputerTarget($computer) }
    }
}

function Set-PatchwaveApproval {
    # Approves an update for the group with a deadline (UTC), once: an approval that is there stays as it is.
    [CmdletBinding(SupportsShouldProcess = $true)]
    param(
        [Parameter(Mandatory = $true)]$Known,
        [Parameter(Mandatory = $true)]$Group,
        [Parameter(Mandatory = $true)][string]$Action,
        [Parameter(Mandatory = $true)][datetime]$Deadline
    )
    $update = $Known.Update
    $right = $false
    foreach ($approval in @($update.GetUpdateApprovals($Group))) {
        $away = [math]::Abs(((ConvertTo-PatchwaveUtc -Instant $approval.Deadline) - $Deadline).TotalSeconds)
        if ($approval.Action.ToString() -eq $Action -and $away -lt 60) {
            $right = $true
        } elseif ($PSCmdlet.ShouldProcess("$($Group.Name): $($update.Title)", 'Remove the approval')) {
            $approval.Delete()
        }
    }
    if ($right) { return }
    if ($update.RequiresLicenseAgreementAcceptance -and $Known.Planned.eula) {
        if ($PSCmdlet.ShouldProcess($update.Title, 'Accept the license agreement that was merged')) { $update.AcceptLicenseAgreement() }
    }
    if ($PSCmdlet.ShouldProcess("$($Group.Name): $($update.Title)", "Approve: $Action, deadline $($Deadline.ToString('u'))")) {
        $null = $update.Approve($Action, $Group, $Deadline)
    }
}

function Get-PatchwaveDeadline {
    # The deadline of the batch in UTC: the start of the opening, else the cut, always an instant that has passed. Nothing where
    # the batch may not start now. See README.md why a deadline at the end of the opening would be wrong.
    param(
        [Parameter(Mandatory = $true)]$Data,
        [Parameter(Mandatory = $true)][string]$Openings
    )
    # A rollback needs no opening, only its permit: waiting for the next night with a broken service helps nobody.
    if ($Data.action -eq 'rollback') { return ConvertTo-PatchwaveInstant -Text $Data.cut }
    $opening = Get-PatchwaveOpening -Path $Openings -Batch $Data.batch
    if ($null -eq $opening) { return }
    $start = Get-PatchwaveValue -Object $opening -Name 'start'
    if ($start) { ConvertTo-PatchwaveInstant -Text $start } else { ConvertTo-PatchwaveInstant -Text $Data.cut }
}

function Invoke-PatchwaveBatch {
    # Brings a batch to what holds now: released to the assets that have a permit, withdrawn from all others. Gives the number
    # of assets that were left alone.
    [CmdletBinding(SupportsShouldProcess = $true)]
    param(
        [Parameter(Mandatory = $true)][string]$Folder,
        [Parameter(Mandatory = $true)][string]$Wave,
        [Parameter(Mandatory = $true)][string]$Batch,
        [Parameter(Mandatory = $true)][string]$Server,
        [Parameter(Mandatory = $true)][int]$Port,
        [switch]$UseSsl,
        [Parameter(Mandatory = $true)][string[]]$PermitCommand,
        [Parameter(Mandatory = $true)][string]$ResultsDir,
        [switch]$NoConfigMgr
    )
    $data = Read-PatchwaveBatch -Folder $Folder -Batch $Batch
    $wsus = Connect-PatchwaveServer -Server $Server -Port $Port -UseSsl:$UseSsl
    $group = Get-PatchwaveGroup -Wsus $wsus -Name $data.group
    $updates = Get-PatchwaveUpdate -Wsus $wsus -Data $data
    $stage = 'digest'
    $stop = ''
    $sums = ''
    $deadline = $null
    try {
        $sums = Get-PatchwaveSums -Rollout (Join-Path -Path $Wave -ChildPath '..\..')
        $stage = 'preflight'
        Assert-PatchwaveServer -Wsus $wsus -Server $Server
        $stage = 'window'
        $deadline = Get-PatchwaveDeadline -Data $data -Openings (Join-Path -Path $Wave -ChildPath 'openings.json')
        if ($null -eq $deadline) { $stop = 'outside the openings of the batch, or after the cutoff' }
    } catch {
        $stop = $_.Exception.Message
    }
    $admitted = @{}
    $taken = @{}
    $left = 0
    foreach ($asset in @($data.assets)) {
        $path = Get-PatchwaveResultPath -Folder $ResultsDir -Data $data -Asset $asset.name
        $held = Get-PatchwaveStatus -Path $path
        $started = if ($held -eq 'started') { ConvertTo-PatchwaveInstant -Text (Read-PatchwaveJson -Path $path).startedAt } else { $null }
        $computer = $null
        $why = $stop
        $at = $stage
        try { $computer = $wsus.GetComputerTargetByName($asset.computer) } catch {
            if (-not $why) { $why = "the server does not know $($asset.computer): $($_.Exception.Message)"; $at = 'preflight' }
        }
        # What is there already needs no approval, so nothing can hinder it.
        $done = -not $why -and (Test-PatchwaveDone -Data $data -Asset $asset -Updates $updates -Computer $computer)
        if (-not $why -and -not $done) {
            $at = 'preflight'
            try {
                $why = Get-PatchwaveHindrance -Asset $asset -Computer $computer -Data $data -Updates $updates -Group $group
                if (-not $why -and -not $NoConfigMgr -and (Test-PatchwaveConfigMgr -Computer $asset.computer)) { $why = 'it is managed by ConfigMgr' }
            } catch {
                $why = $_.Exception.Message
            }
        }
        if (-not $why) {
            $at = 'permit'
            $why = Get-PatchwaveRefusal -Command $PermitCommand -Data $data -Asset $asset.name -Sums $sums
        }
        if (-not $why -and $done) {
            if ($null -ne $started) {
                Complete-PatchwaveAsset -Folder $ResultsDir -Data $data -Asset $asset -StartedAt $started -Updates $updates -Computer $computer
            } elseif ($held -ne 'ok') {
                Write-PatchwaveResult -Folder $ResultsDir -Data $data -Asset $asset.name -Status 'ok' -Stage 'done' -Sums $sums
            }
            continue
        }
        if (-not $why) {
            $admitted[$computer.Id] = $computer
            foreach ($planned in @($asset.updates)) { $taken[$planned.updateId] = $true }
            if ($null -eq $started) {
                # Before the approval: from then on nobody can say that the asset was not touched.
                Write-PatchwaveResult -Folder $ResultsDir -Data $data -Asset $asset.name -Status 'started' -Stage $data.action -Sums $sums -Changed $true
            }
            continue
        }
        $left += 1
        Write-Warning -Message "$($asset.name): $why"
        if ($null -ne $started) {
            Complete-PatchwaveAsset -Folder $ResultsDir -Data $data -Asset $asset -StartedAt $started -Updates $updates -Computer $computer
        } elseif ($at -ne 'window' -and ($held -eq '' -or $held -eq 'not-attempted')) {
            # Before its opening nothing is said of an asset: it has not missed anything yet.
            Write-PatchwaveResult -Folder $ResultsDir -Data $data -Asset $asset.name -Status 'not-attempted' -Stage $at -Reason "$why" -Sums $sums
        }
    }
    if ($admitted.Count -eq 0) {
        if ($null -ne $group) { Remove-PatchwaveRelease -Group $group -Updates $updates }
        return $left
    }
    if ($null -eq $group) {
        if (-not $PSCmdlet.ShouldProcess($data.group, 'Create the group')) { return $left }
        $group = $wsus.CreateComputerTargetGroup($data.group)
    }
    Set-PatchwaveMember -Group $group -Admitted $admitted
    $action = if ($data.action -eq 'patch') { 'Install' } else { 'Uninstall' }
    foreach ($id in @($taken.Keys)) {
        Set-PatchwaveApproval -Known $updates[$id] -Group $group -Action $action -Deadline $deadline
    }
    $left
}
