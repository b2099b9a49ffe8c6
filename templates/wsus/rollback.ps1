#Requires -Version 5.1
#Requires -PSEdition Desktop
#Requires -Modules UpdateServices
<#
.SYNOPSIS
Uninstalls the updates of a batch where WSUS can, and says where it cannot.
.DESCRIPTION
Withdraw the batch first. Only assets of this batch with a permit for the rollback; only updates that can be uninstalled
(UninstallationBehavior.IsSupported), which most combined cumulative updates cannot: for those there is no way back through WSUS,
and the result says so. Running it twice changes nothing. Afterwards: ..\..\wsus\withdraw.ps1 -Batch NN -Rollback.
.EXAMPLE
.\rollback.ps1 -Batch 01 -Server wsus01.corp.example -Port 8531 -UseSsl -WhatIf
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
. (Join-Path -Path $PSScriptRoot -ChildPath '..\..\wsus\functions.ps1')

$call = @{
    Folder = $PSScriptRoot
    Wave = Join-Path -Path $PSScriptRoot -ChildPath '..\..'
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
