# Completion of binrepd for bash. Made by "make reference".

_binrepd() {
	local cur=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} command=binrepd commands='' flags='' files='' i
	COMPREPLY=()
	# bash takes the = of --flag=value for a word of its own.
	if [[ $cur == '=' ]]; then
		cur=''
	elif [[ $flag == '=' ]]; then
		flag=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		case "$command ${COMP_WORDS[i]}" in
		'binrepd run' | 'binrepd status' | 'binrepd top' | 'binrepd dialogs' | 'binrepd dialogs list' | 'binrepd dialogs get' | 'binrepd dialogs count' | 'binrepd dialogs ghosts' | 'binrepd dialogs conflicts' | 'binrepd cluster' | 'binrepd cluster list' | 'binrepd cluster capabilities' | 'binrepd cluster tags' | 'binrepd cluster sync' | 'binrepd profiles' | 'binrepd allow' | 'binrepd allow list' | 'binrepd allow add' | 'binrepd allow remove' | 'binrepd reload' | 'binrepd backups' | 'binrepd backups list' | 'binrepd backups add' | 'binrepd backups remove' | 'binrepd backups pause' | 'binrepd backups resume' | 'binrepd sources' | 'binrepd sources list' | 'binrepd sources forget' | 'binrepd sources expect' | 'binrepd sync' | 'binrepd takeover' | 'binrepd save' | 'binrepd load' | 'binrepd audit' | 'binrepd import' | 'binrepd record' | 'binrepd record call' | 'binrepd record list' | 'binrepd replay' | 'binrepd doctor' | 'binrepd bench' | 'binrepd bench generate' | 'binrepd unpin' | 'binrepd version')
			command+=" ${COMP_WORDS[i]}" ;;
		esac
	done
	case "$command $flag" in
	'binrepd run --replicate-queue')
		return ;;
	'binrepd run --replicate-rate')
		return ;;
	'binrepd run --replicate-to')
		return ;;
	'binrepd run --rewrite-socket')
		return ;;
	'binrepd run --cluster')
		return ;;
	'binrepd run --cluster-bridge')
		return ;;
	'binrepd run --cluster-listen')
		return ;;
	'binrepd run --cluster-peer')
		return ;;
	'binrepd run --donor')
		return ;;
	'binrepd run --donor-rate')
		return ;;
	'binrepd run --donor-rewrite')
		return ;;
	'binrepd run --node')
		return ;;
	'binrepd run --tls-ca')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd run --tls-cert')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd run --tls-key')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd run --tls-peer')
		return ;;
	'binrepd run --udp-to-cluster')
		return ;;
	'binrepd run --audit')
		return ;;
	'binrepd run --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd run --metrics')
		return ;;
	'binrepd run --settings')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd run --stale-after')
		return ;;
	'binrepd run --web.config.file')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd run --pin')
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return ;;
	'binrepd run --save-interval')
		return ;;
	'binrepd run --state-dir')
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return ;;
	'binrepd run --record')
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return ;;
	'binrepd run --record-size')
		return ;;
	'binrepd run --await-address')
		return ;;
	'binrepd run --interface')
		mapfile -t COMPREPLY < <(compgen -W "$(cd /sys/class/net 2>/dev/null && echo *)" -- "$cur")
		return ;;
	'binrepd run --listen')
		return ;;
	'binrepd run --log-format')
		mapfile -t COMPREPLY < <(compgen -W 'text json' -- "$cur")
		return ;;
	'binrepd run --log-level')
		mapfile -t COMPREPLY < <(compgen -W 'debug info warn error' -- "$cur")
		return ;;
	'binrepd run --allow')
		return ;;
	'binrepd run --allow-file')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd run --source-rate')
		return ;;
	'binrepd run --early-timeout')
		return ;;
	'binrepd run --expiry-grace')
		return ;;
	'binrepd run --load')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd run --max-dialogs')
		return ;;
	'binrepd run --max-memory')
		return ;;
	'binrepd run --shards')
		return ;;
	'binrepd run --tombstone')
		return ;;
	'binrepd run --coalesce')
		return ;;
	'binrepd run --cpus')
		return ;;
	'binrepd run --ring-size')
		return ;;
	'binrepd run --rings')
		return ;;
	'binrepd run --spin')
		return ;;
	'binrepd run --xdp')
		mapfile -t COMPREPLY < <(compgen -W 'auto native generic off' -- "$cur")
		return ;;
	'binrepd status --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd top --interval')
		return ;;
	'binrepd top --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd dialogs list --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd dialogs list --from-uri' | 'binrepd dialogs list --from')
		return ;;
	'binrepd dialogs list --limit')
		return ;;
	'binrepd dialogs list --node')
		return ;;
	'binrepd dialogs list --origin')
		return ;;
	'binrepd dialogs list --profile')
		return ;;
	'binrepd dialogs list --state')
		mapfile -t COMPREPLY < <(compgen -W 'unconfirmed early answered confirmed live all' -- "$cur")
		return ;;
	'binrepd dialogs list --tag')
		return ;;
	'binrepd dialogs list --to-uri' | 'binrepd dialogs list --to')
		return ;;
	'binrepd dialogs list --var')
		return ;;
	'binrepd dialogs get --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd dialogs count --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd dialogs count --from-uri' | 'binrepd dialogs count --from')
		return ;;
	'binrepd dialogs count --node')
		return ;;
	'binrepd dialogs count --origin')
		return ;;
	'binrepd dialogs count --profile')
		return ;;
	'binrepd dialogs count --state')
		mapfile -t COMPREPLY < <(compgen -W 'unconfirmed early answered confirmed live all' -- "$cur")
		return ;;
	'binrepd dialogs count --tag')
		return ;;
	'binrepd dialogs count --to-uri' | 'binrepd dialogs count --to')
		return ;;
	'binrepd dialogs count --var')
		return ;;
	'binrepd dialogs ghosts --before')
		return ;;
	'binrepd dialogs ghosts --origin')
		return ;;
	'binrepd dialogs ghosts --silent')
		return ;;
	'binrepd dialogs ghosts --times')
		return ;;
	'binrepd dialogs ghosts --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd dialogs conflicts --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd cluster list --cluster')
		return ;;
	'binrepd cluster list --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd cluster capabilities --cluster')
		return ;;
	'binrepd cluster capabilities --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd cluster tags --cluster')
		return ;;
	'binrepd cluster tags --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd cluster sync --cluster')
		return ;;
	'binrepd cluster sync --from')
		return ;;
	'binrepd cluster sync --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd profiles --limit')
		return ;;
	'binrepd profiles --name')
		return ;;
	'binrepd profiles --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd allow list --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd allow add --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd allow remove --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd reload --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd backups list --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd backups add --rate')
		return ;;
	'binrepd backups add --rewrite-socket')
		return ;;
	'binrepd backups add --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd backups remove --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd backups pause --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd backups resume --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd sources list --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd sources forget --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd sources expect --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd sync --cluster')
		return ;;
	'binrepd sync --ends')
		return ;;
	'binrepd sync --mi')
		return ;;
	'binrepd sync --passes')
		return ;;
	'binrepd sync --rate')
		return ;;
	'binrepd sync --release')
		return ;;
	'binrepd sync --rewrite-socket')
		return ;;
	'binrepd sync --to')
		return ;;
	'binrepd sync --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd sync --from-uri')
		return ;;
	'binrepd sync --node')
		return ;;
	'binrepd sync --origin')
		return ;;
	'binrepd sync --profile')
		return ;;
	'binrepd sync --state')
		mapfile -t COMPREPLY < <(compgen -W 'unconfirmed early answered confirmed live all' -- "$cur")
		return ;;
	'binrepd sync --tag')
		return ;;
	'binrepd sync --to-uri')
		return ;;
	'binrepd sync --var')
		return ;;
	'binrepd takeover --cluster')
		return ;;
	'binrepd takeover --mi')
		return ;;
	'binrepd takeover --node')
		return ;;
	'binrepd takeover --rate')
		return ;;
	'binrepd takeover --rewrite-socket')
		return ;;
	'binrepd takeover --socket')
		return ;;
	'binrepd takeover --tag')
		return ;;
	'binrepd takeover --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd save --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd load --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd audit --mi')
		return ;;
	'binrepd audit --node')
		return ;;
	'binrepd audit --origin')
		return ;;
	'binrepd audit --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd import --mi')
		return ;;
	'binrepd import --node')
		return ;;
	'binrepd import --origin')
		return ;;
	'binrepd import --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd record call --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd record call --record')
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return ;;
	'binrepd record list --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd record list --record')
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return ;;
	'binrepd replay --bind')
		return ;;
	'binrepd replay --from-source')
		return ;;
	'binrepd replay --port')
		return ;;
	'binrepd replay --speed')
		return ;;
	'binrepd replay --to')
		return ;;
	'binrepd doctor --interface')
		mapfile -t COMPREPLY < <(compgen -W "$(cd /sys/class/net 2>/dev/null && echo *)" -- "$cur")
		return ;;
	'binrepd doctor --stall')
		return ;;
	'binrepd doctor --control')
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	'binrepd bench --dialogs')
		return ;;
	'binrepd bench --runs')
		return ;;
	'binrepd bench --stages')
		return ;;
	'binrepd bench generate --count')
		return ;;
	'binrepd bench generate --dialogs')
		return ;;
	'binrepd bench generate --duration')
		return ;;
	'binrepd bench generate --interface')
		mapfile -t COMPREPLY < <(compgen -W "$(cd /sys/class/net 2>/dev/null && echo *)" -- "$cur")
		return ;;
	'binrepd bench generate --mac')
		return ;;
	'binrepd bench generate --rate')
		return ;;
	'binrepd bench generate --to')
		return ;;
	'binrepd bench generate --wait')
		return ;;
	'binrepd unpin --pin')
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return ;;
	esac
	case $command in
	'binrepd')
		commands='run status top dialogs cluster profiles allow reload backups sources sync takeover save load audit import record replay doctor bench unpin version'
		flags='--version --help' ;;
	'binrepd run')
		flags='--clear-bye-on-timeout --no-convert --replicate-queue --replicate-rate --replicate-to --rewrite-socket --sync-on-return --cluster --cluster-bridge --cluster-fixed --cluster-listen --cluster-peer --donor --donor-rate --donor-rewrite --fence --node --tls-ca --tls-cert --tls-key --tls-no-verify --tls-peer --udp-to-cluster --audit --control --metrics --pprof --settings --stale-after --web.config.file --pin --save-interval --state-dir --record --record-size --await-address --interface --listen --promiscuous --log-format --log-level --allow --allow-file --source-rate --early-timeout --expiry-grace --load --max-dialogs --max-memory --shards --tombstone --coalesce --cpus --ring-size --rings --spin --xdp --help' ;;
	'binrepd status')
		flags='--check --json --strict --wide --control --help' ;;
	'binrepd top')
		flags='--interval --once --control --help' ;;
	'binrepd dialogs')
		commands='list get count ghosts conflicts'
		flags='--help' ;;
	'binrepd dialogs list')
		flags='--json --wide --control --from-uri --limit --node --origin --profile --state --tag --to-uri --var --help' ;;
	'binrepd dialogs get')
		flags='--json --wide --control --help' ;;
	'binrepd dialogs count')
		flags='--json --control --from-uri --node --origin --profile --state --tag --to-uri --var --help' ;;
	'binrepd dialogs ghosts')
		flags='--before --json --origin --remove --silent --times --wide --control --help' ;;
	'binrepd dialogs conflicts')
		flags='--json --control --help' ;;
	'binrepd cluster')
		commands='list capabilities tags sync'
		flags='--help' ;;
	'binrepd cluster list')
		flags='--cluster --json --wide --control --help' ;;
	'binrepd cluster capabilities')
		flags='--cluster --json --wide --control --help' ;;
	'binrepd cluster tags')
		flags='--cluster --json --wide --control --help' ;;
	'binrepd cluster sync')
		flags='--cluster --from --json --control --help' ;;
	'binrepd profiles')
		flags='--json --limit --name --control --help' ;;
	'binrepd allow')
		commands='list add remove'
		flags='--help' ;;
	'binrepd allow list')
		flags='--json --control --help' ;;
	'binrepd allow add')
		flags='--json --control --help' ;;
	'binrepd allow remove')
		flags='--json --control --help' ;;
	'binrepd reload')
		flags='--json --control --help' ;;
	'binrepd backups')
		commands='list add remove pause resume'
		flags='--help' ;;
	'binrepd backups list')
		flags='--json --wide --control --help' ;;
	'binrepd backups add')
		flags='--clear-bye-on-timeout --json --rate --rewrite-socket --wide --control --help' ;;
	'binrepd backups remove')
		flags='--json --wide --control --help' ;;
	'binrepd backups pause')
		flags='--json --wide --control --help' ;;
	'binrepd backups resume')
		flags='--json --wide --control --help' ;;
	'binrepd sources')
		commands='list forget expect'
		flags='--help' ;;
	'binrepd sources list')
		flags='--json --wide --control --help' ;;
	'binrepd sources forget')
		flags='--json --wide --control --help' ;;
	'binrepd sources expect')
		flags='--json --wide --control --help' ;;
	'binrepd sync')
		flags='--clear-bye-on-timeout --cluster --dry-run --ends --json --mi --no-convert --passes --rate --release --replace --rewrite-socket --to --control --from-uri --node --origin --profile --state --tag --to-uri --var --help' ;;
	'binrepd takeover')
		flags='--activate --cluster --json --mi --node --rate --rewrite-socket --socket --tag --control --help' ;;
	'binrepd save')
		files=1
		flags='--everything --json --control --help' ;;
	'binrepd load')
		files=1
		flags='--json --control --help' ;;
	'binrepd audit')
		flags='--json --mi --node --origin --repair --control --help' ;;
	'binrepd import')
		flags='--dry-run --json --mi --node --origin --control --help' ;;
	'binrepd record')
		commands='call list'
		flags='--help' ;;
	'binrepd record call')
		flags='--json --control --record --help' ;;
	'binrepd record list')
		flags='--json --control --record --help' ;;
	'binrepd replay')
		flags='--bind --from-source --json --port --shift-time --speed --to --help' ;;
	'binrepd doctor')
		flags='--interface --json --stall --control --help' ;;
	'binrepd bench')
		commands='generate'
		flags='--json --dialogs --large --runs --stages --help' ;;
	'binrepd bench generate')
		flags='--json --count --dialogs --duration --interface --mac --rate --to --wait --help' ;;
	'binrepd unpin')
		flags='--pin --help' ;;
	'binrepd version')
		flags='--help' ;;
	esac
	if [[ $cur == -* || -z $commands$files ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$cur")
	elif [[ $files ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
	fi
}
complete -F _binrepd binrepd
