# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Bash completion for kexec: its long options, the numbers of coexisting OSes, the CPUs
# and PCI functions of this machine, and files.

_kexec()
{
	local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local option=$before words=() path

	COMPREPLY=()
	# Bash makes words of "--option", "=" and the value.
	if [ "$current" = "=" ]; then
		current=''
	elif [ "$before" = "=" ]; then
		option=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case $option in
	--twinos-id)
		for path in /sys/kernel/twinos/os*; do
			[ ! -d "$path" ] || words+=("${path##*/os}")
		done
		;;
	--twinos-cpus)
		for path in /sys/devices/system/cpu/cpu[0-9]*; do
			[ ! -d "$path" ] || words+=("${path##*/cpu}")
		done
		;;
	--twinos-pci)
		for path in /sys/bus/pci/devices/*; do
			[ ! -e "$path" ] || words+=("${path##*/}")
		done
		# A colon is a word of its own for Bash, so this only shows them.
		;;
	--twinos-entry) words=(direct bzimage) ;;
	*)
		if [[ $current == -* ]]; then
			mapfile -t words < <(kexec --help 2>/dev/null |
				grep -oE -- '--[a-z0-9-]+=?' | sort -u)
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$current")
			return
		fi
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "${words[*]}" -- "$current")
	[[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace
}

complete -o filenames -F _kexec kexec
