# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Bash completion for the twinos command, whose words may come in any order.

_twinos()
{
	local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local command='' word number numbers=() words=()

	COMPREPLY=()
	for number in /sys/kernel/twinos/os*; do
		[ -d "$number" ] && numbers+=("${number##*/os}")
	done
	# Bash makes words of "--os", "=" and the number.
	if [ "$current" = "=" ] && [ "$before" = --os ]; then
		COMPREPLY=("${numbers[@]}")
		return
	elif [ "$before" = "=" ]; then
		mapfile -t COMPREPLY < <(compgen -W "${numbers[*]}" -- "$current")
		return
	fi
	for word in "${COMP_WORDS[@]:1:COMP_CWORD - 1}"; do
		case $word in
		status | log | slice | weight | share | windows) command=$word ;;
		esac
	done
	case $command in
	'') words=(status log slice weight share windows --json --help --version) ;;
	windows) words=(--json) ;;
	log) words=(--json --raw "${numbers[@]/#/--os=}") ;;
	*) words=(--json "${numbers[@]/#/--os=}") ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "${words[*]}" -- "$current")
}

complete -F _twinos twinos
