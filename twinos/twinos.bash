# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Bash completion for the twinos command.

_twinos()
{
	local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local number numbers=() words=(--json)

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W \
			"status log slice weight share windows --help --version" -- "$current")
		return
	fi
	for number in /sys/kernel/twinos/os*; do
		[ -d "$number" ] && numbers+=("${number##*/os}")
	done
	case ${COMP_WORDS[1]} in
	status | log | slice | weight | share)
		# Bash makes words of "--os", "=" and the number.
		if [ "$current" = "=" ] && [ "$before" = --os ]; then
			COMPREPLY=("${numbers[@]}")
			return
		elif [ "$before" = "=" ]; then
			mapfile -t COMPREPLY < <(compgen -W "${numbers[*]}" -- "$current")
			return
		fi
		words+=("${numbers[@]/#/--os=}")
		mapfile -t COMPREPLY < <(compgen -W "${words[*]}" -- "$current")
		;;
	windows)
		mapfile -t COMPREPLY < <(compgen -W "--json" -- "$current")
		;;
	esac
}

complete -F _twinos twinos
