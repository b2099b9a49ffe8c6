#Requires -Version 5.1
#Requires -PSEdition Desktop
#Requires -Modules UpdateServices
<#
.SYNOPSIS
Releases a batch to the assets that have a permit, and withdraws it from all others.
.DESCRIPTION
Run it every ten minutes while the batch has openings: in an opening it puts the permitted assets into the group of the batch and
approves exactly their updates for it; after the cutoff, after a halt and wherever the engine gives no permit any more it takes
them out again. Running it twice changes nothing. -WhatIf shows what it would change.
.EXAMPLE
.\approve.ps1 -Batch 01 -Server wsus01.corp.example -Port 8531 -UseSsl -WhatIf
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    # The batch: batch-<Batch>.json beside this script.
    [Parameter(Mandatory = $true)][ValidatePattern('^[0-9]{1,9}$')][string]$Batch,
    [string]$Server = $env:COMPUTERNAME,
    [ValidateRange(1, 65535)][int]$Port = 8530,
    [switch]$UseSsl,
    # Asked for each asset, with ROLLOUT WAVE BATCH ASSET appended. Exit 0 is a permit, anything else is not.
    [string[]]$PermitCommand = @('patchwave', 'permit'),
    # Result files (schemas/result/v1.json) are written here.
    [string]$ResultsDir = (Join-Path -Path $env:ProgramData -ChildPath 'patchwave\results'),
    # You vouch that no client of ConfigMgr runs on the hosts of this server; they are not asked then.
    [switch]$NoConfigMgr
)
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
. (Join-Path -Path $PSScriptRoot -ChildPath 'functions.ps1')

$call = @{
    Folder = $PSScriptRoot
    Wave = Join-Path -Path $PSScriptRoot -ChildPath '..'
    Batch = $Batch
    Server = $Server
    Port = $Port
    UseSsl = $UseSsl
    PermitCommand = $PermitCommand
    ResultsDir = $ResultsDir
    NoConfigMgr = $NoConfigMgr
}
$left = Invoke-PatchwaveBatch @call
if ($left -gt 0) { exit 1 }
