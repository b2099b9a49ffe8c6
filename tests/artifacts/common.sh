# What the scripts of this folder have in common; each of them reads it first and works below target/artifacts.
# shellcheck shell=bash
set -euo pipefail
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/tests/artifacts
work=$root/target/artifacts
venv=$work/venv
# Scripts may run side by side.
broken=$work/broken-$(basename "$0" .sh)
mkdir -p "$work"

install() { # folder of a Python environment, file of requirements: once, and again when the file changes
  local mark
  mark=$1/$(basename "$(dirname "$2")").txt
  ! cmp -s "$2" "$mark" || return 0
  [ -x "$1/bin/python" ] || python3 -m venv "$1"
  "$1/bin/pip" install --quiet --disable-pip-version-check -r "$2"
  cp "$2" "$mark"
}

ansible_tools() { # Ansible, its linter and the collections that rendered playbooks use
  install "$venv" "$here/requirements.txt"
  bash "$here/collections.sh"
  export PATH=$venv/bin:$PATH ANSIBLE_HOME=$work/home ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_NOCOLOR=1
  export ANSIBLE_COLLECTIONS_PATH=$work/collections
}

# ansible-lint takes whatever lies below a folder `templates` for a text and finds nothing in it, so every check works on copies.
waves_of() { # target: copies its golden waves, and names the copies in `waves`
  local golden=$root/templates/$1/golden
  rm -rf "$work/waves/$1"
  mkdir -p "$work/waves"
  [ ! -d "$golden/waves" ] || cp -r "$golden/waves" "$work/waves/$1"
  waves=("$work/waves/$1"/*/)
  waves=("${waves[@]%/}")
  [ -d "${waves[0]}" ] || { echo "no golden waves of $1; run PATCHWAVE_UPDATE=1 cargo test -p patchwave-core --test render" >&2; exit 1; }
  (cd "$golden" && sha256sum --check --strict --quiet SHA256SUMS)
}

syntax_of() { # inventory, playbooks
  local inventory=$1 playbook
  shift
  ansible-inventory -i "$inventory" --list >"$work/inventory.json" || return 1
  for playbook in "$@"; do
    ansible-playbook -i "$inventory" --syntax-check "$playbook" >"$work/syntax.log" 2>&1 || { cat "$work/syntax.log"; return 1; }
    # A host pattern that matches nothing is only a warning.
    ! grep -q WARNING "$work/syntax.log" || { cat "$work/syntax.log"; return 1; }
  done
}

lint_of() { # folder, files below it
  local folder=$1
  shift
  cp "$here/yamllint.yml" "$folder/.yamllint"
  (cd "$folder" && ansible-lint --offline --nocolor --strict -c "$here/ansible-lint.yml" "${@#"$folder"/}") >"$work/lint.log" 2>&1 || { cat "$work/lint.log"; return 1; }
}

# Each check must find the fault it is there for: a copy of a wave in which it found none, one fault at a time.
must_fail() { # wave folder, sed expression, file, what the check says then, the check with its words after the folder
  local wave=$1 expression=$2 file=$3 says=$4
  shift 4
  rm -rf "$broken"
  cp -r "$wave" "$broken"
  sed -i "$expression" "$broken/$file"
  ! cmp -s "$wave/$file" "$broken/$file" || { echo "the expression $expression changes nothing in $file" >&2; exit 1; }
  if "$1" "$broken" "${@:2}" >"$broken.log" 2>&1; then
    echo "$1 does not find: $expression in $file" >&2
    exit 1
  fi
  grep -qF -- "$says" "$broken.log" || { echo "$1 finds another fault than $expression in $file:" >&2; cat "$broken.log" >&2; exit 1; }
  rm -rf "$broken"
  echo "$1 finds $expression"
}
