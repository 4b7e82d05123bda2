# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Bash completion for the twinos command.

_twinos()
{
	local current=${COMP_WORDS[COMP_CWORD]} number

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"status log slice weight share windows --help --version" -- "$current")
		return
	fi
	case ${COMP_WORDS[1]} in
	status | log | slice | weight | share)
		local words=(--json)
		for number in /sys/kernel/twinos/os*; do
			[ -d "$number" ] && words+=("--os=${number##*/os}")
		done
		mapfile -t COMPREPLY < <(compgen -W "${words[*]}" -- "$current")
		;;
	windows)
		mapfile -t COMPREPLY < <(compgen -W "--json" -- "$current")
		;;
	esac
}

complete -F _twinos twinos
