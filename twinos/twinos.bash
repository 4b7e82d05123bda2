# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Bash completion for the twinos command: its commands and their options, the names of
# /etc/twinos, the numbers of coexisting OSes, CPUs and PCI functions of this machine.

# _twinos_list KIND: one a line, the names of configurations, the numbers of coexisting
# OSes, CPUs, or PCI functions.
_twinos_list()
{
	local path

	case $1 in
	names)
		for path in /etc/twinos/*.conf; do
			[ ! -f "$path" ] || basename "$path" .conf
		done
		;;
	numbers)
		for path in /sys/kernel/twinos/os[0-9]*; do
			[ ! -d "$path" ] || echo "${path##*/os}"
		done
		;;
	cpus)
		for path in /sys/devices/system/cpu/cpu[0-9]*; do
			[ ! -d "$path" ] || echo "${path##*/cpu}"
		done
		;;
	pci)
		for path in /sys/bus/pci/devices/*; do
			[ ! -e "$path" ] || echo "${path##*/}"
		done
		;;
	esac
}

_twinos()
{
	local line=${COMP_LINE:0:COMP_POINT} current='' word command='' arguments=0 before
	local words=() candidates=() numbers=()

	# Not COMP_WORDS, in which "--option=value" and a PCI function are several words.
	read -ra words <<<"$line"
	if [[ $line != *[[:space:]] ]]; then
		current=${words[-1]}
		unset 'words[-1]'
	fi
	for word in "${words[@]:1}"; do
		case $word in
		-*) ;;
		*)
			if [ -z "$command" ]; then
				command=$word
			else
				arguments=$((arguments + 1))
			fi
			;;
		esac
	done

	mapfile -t numbers < <(_twinos_list numbers)
	case $current in
	--pci=*)
		# A list: what is complete of it stays.
		before=${current%"${current##*[=,]}"}
		mapfile -t candidates < <(_twinos_list pci)
		candidates=("${candidates[@]/#/"$before"}")
		;;
	--state=*)
		before=${current%"${current##*[=,]}"}
		candidates=(empty loaded starting running stopped crashed hung)
		candidates=("${candidates[@]/#/"$before"}")
		;;
	--root=*)
		candidates=(--root=nfs: --root=nbd: --root=9p:)
		;;
	--svg=* | --input=* | --output=*)
		before=${current%%=*}=
		mapfile -t candidates < <(compgen -f -- "${current#*=}")
		candidates=("${candidates[@]/#/"$before"}")
		compopt -o filenames
		;;
	--os=*)
		mapfile -t -O "${#numbers[@]}" numbers < <(_twinos_list names)
		candidates=("${numbers[@]/#/--os=}")
		;;
	-*)
		case $command in
		'') candidates=(--help --version --json) ;;
		list | windows) candidates=(--json) ;;
		status | slice | weight | share) candidates=(--json --os=) ;;
		check) candidates=(--json) ;;
		top) candidates=(--once --json --delay= --os=) ;;
		metrics) candidates=(--output=) ;;
		map) candidates=(--json --svg=) ;;
		timeline) candidates=(--json --svg= --for= --input= --os=) ;;
		plan)
			candidates=(--memory= --cpus= --pci= --irq= --root= --force --update --dry-run --json)
			;;
		start) candidates=(--all --timeout=) ;;
		stop) candidates=(--all --limit= --quiet) ;;
		restart) candidates=(--limit= --timeout=) ;;
		kill | unload) candidates=(--quiet) ;;
		wait) candidates=(--state= --timeout= --json) ;;
		log) candidates=(--json --raw --os= --follow) ;;
		esac
		;;
	*)
		case $command in
		'')
			candidates=(list status top metrics plan check start stop kill restart unload run wait
				log move set slice weight share windows map timeline)
			;;
		plan | run) [ "$arguments" != 0 ] || mapfile -t candidates < <(_twinos_list names) ;;
		start | restart) mapfile -t candidates < <(_twinos_list names) ;;
		check)
			mapfile -t candidates < <(_twinos_list names; compgen -f -- "$current")
			compopt -o filenames
			;;
		status | top | share | stop | kill | unload | timeline)
			mapfile -t candidates < <(_twinos_list names)
			candidates+=("${numbers[@]}")
			;;
		wait | log | move | set)
			if [ "$arguments" = 0 ]; then
				mapfile -t candidates < <(_twinos_list names)
				candidates+=("${numbers[@]}")
			elif [ "$command" = move ] && [ "$arguments" = 1 ]; then
				mapfile -t candidates < <(_twinos_list cpus)
			elif [ "$command" = set ]; then
				candidates=(slice= weight=)
			fi
			;;
		esac
		;;
	esac

	mapfile -t COMPREPLY < <(
		for word in "${candidates[@]}"; do
			[[ $word != "$current"* ]] || printf '%s\n' "$word"
		done | sort -u)
	[[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *[=:] ]] || compopt -o nospace
	# Bash replaces only what is behind the last character at which it breaks words.
	before=${current%"${current##*["$COMP_WORDBREAKS"]}"}
	COMPREPLY=("${COMPREPLY[@]#"$before"}")
}

complete -F _twinos twinos
