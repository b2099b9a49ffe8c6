#!/usr/bin/env bash
# A dnf repository with the packages of the lab: tests/lab/rpms.sh OUT
#
#   lab-app            1.0.0-1.el9, 1.1.0-1.el9, 1.2.0-1.el9; the %post of 1.1.0-1.el9 fails where /etc/lab/fail-post is,
#                      which rpm and dnf report as success
#   almalinux-release  what dnf and scriptlets ask a system for: its release version, and /bin/sh
set -euo pipefail
export LC_ALL=C.UTF-8

out=$1
rm -rf "$out"
mkdir -p "$out/build"

build() { # a spec on standard input
  cat >"$out/build/lab.spec"
  rpmbuild -bb --quiet --define "_topdir $out/build" --define "_rpmdir $out" --define "_build_id_links none" \
    --define "__os_install_post %{nil}" --define "_binary_payload w0.gzdio" "$out/build/lab.spec"
}

app() { # version, scriptlets
  build <<END
Name: lab-app
Version: $1
Release: 1.el9
Summary: The package of the lab
License: MIT
BuildArch: noarch
%description
The package of the lab.
%install
mkdir -p %{buildroot}/usr/share/lab-app
echo $1 > %{buildroot}/usr/share/lab-app/version
%files
/usr/share/lab-app/version
$2
END
}
app 1.0.0 ''
app 1.1.0 $'%post\nif [ -e /etc/lab/fail-post ]; then echo "the %post was told to fail" >&2; exit 1; fi'
app 1.2.0 ''
build <<END
Name: almalinux-release
Version: 9.9
Release: 1.el9
Summary: The release of the lab
License: MIT
BuildArch: noarch
Provides: system-release = 9.9, system-release(releasever) = 9, redhat-release = 9.9, /bin/sh
%description
The release of the lab.
%files
END
rm -rf "$out/build"
createrepo_c -q "$out"
