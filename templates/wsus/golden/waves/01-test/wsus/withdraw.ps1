#Requires -Version 5.1
#Requires -PSEdition Desktop
#Requires -Modules UpdateServices
<#
.SYNOPSIS
Withdraws a batch at once: removes its approvals, its members and its group, and concludes its results.
.DESCRIPTION
Needs no permit: to stop is always allowed. What a client has begun it finishes. Run it again later to conclude what clients
report late. -WhatIf shows what it would change.
.EXAMPLE
.\withdraw.ps1 -Batch 01 -Server wsus01.corp.example -Port 8531 -UseSsl
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    # The batch: batch-<Batch>.json beside this script, or below rollback\ with -Rollback.
    [Parameter(Mandatory = $true)][ValidatePattern('^[0-9]{1,9}$')][string]$Batch,
    [string]$Server = $env:COMPUTERNAME,
    [ValidateRange(1, 65535)][int]$Port = 8530,
    [switch]$UseSsl,
    # Result files (schemas/result/v1.json) are here.
    [string]$ResultsDir = (Join-Path -Path $env:ProgramData -ChildPath 'patchwave\results'),
    # Withdraws the rollback of the batch.
    [switch]$Rollback
)
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
. (Join-Path -Path $PSScriptRoot -ChildPath 'functions.ps1')

$folder = if ($Rollback) { Join-Path -Path $PSScriptRoot -ChildPath '..\rollback\wsus' } else { $PSScriptRoot }
$data = Read-PatchwaveBatch -Folder $folder -Batch $Batch
$wsus = Connect-PatchwaveServer -Server $Server -Port $Port -UseSsl:$UseSsl
$updates = Get-PatchwaveUpdate -Wsus $wsus -Data $data
$group = Get-PatchwaveGroup -Wsus $wsus -Name $data.group
if ($null -ne $group) { Remove-PatchwaveRelease -Group $group -Updates $updates }
foreach ($asset in @($data.assets)) {
    $path = Get-PatchwaveResultPath -Folder $ResultsDir -Data $data -Asset $asset.name
    if ((Get-PatchwaveStatus -Path $path) -ne 'started') { continue }
    $computer = $null
    try { $computer = $wsus.GetComputerTargetByName($asset.computer) } catch { Write-Warning -Message "$($asset.name): $($_.Exception.Message)" }
    $started = ConvertTo-PatchwaveInstant -Text (Read-PatchwaveJson -Path $path).startedAt
    Complete-PatchwaveAsset -Folder $ResultsDir -Data $data -Asset $asset -StartedAt $started -Updates $updates -Computer $computer
}
