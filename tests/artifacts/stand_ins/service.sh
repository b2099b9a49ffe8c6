#!/bin/sh
# Stands in for the programs that services are asked with, by the name it is called with: three members, of which one is
# gone. What they print follows etcdctl 3.5, MariaDB 10.11 and Pacemaker 2.1.
case "${0##*/} $*" in
"etcdctl member list"*) echo '{"header":{"member_id":10501334649042878790},"members":[{"ID":10501334649042878790,"name":"a","clientURLs":["https://a:2379"]},{"ID":2,"name":"b","clientURLs":["https://b:2379"]},{"ID":3,"name":"c","clientURLs":["https://c:2379"]},{"ID":4,"name":"d","clientURLs":["https://d:2379"],"isLearner":true}]}' ;;
"etcdctl endpoint health"*) echo '[{"endpoint":"https://a:2379","health":true,"took":"9ms"},{"endpoint":"https://b:2379","health":true,"took":"9ms"},{"endpoint":"https://c:2379","health":false,"took":"5s","error":"context deadline exceeded"},{"endpoint":"https://d:2379","health":true,"took":"9ms"}]'; exit 1 ;;
"etcdctl endpoint status"*) echo '[{"Endpoint":"127.0.0.1:2379","Status":{"header":{"member_id":10501334649042878790},"version":"3.5.9","leader":10501334649042878790}}]' ;;
"mysql --batch"*) printf 'wsrep_cluster_size\t2\nwsrep_cluster_status\tPrimary\nwsrep_local_state_comment\tSynced\nwsrep_ready\tON\nwsrep_cluster_address\tgcomm://10.0.0.1,10.0.0.2,10.0.0.3?pc.wait_prim=no\n' ;;
"corosync-quorumtool -s") cat <<'TEXT'
Quorum information
------------------
Date:             Fri Nov 20 22:00:00 2026
Quorum provider:  corosync_votequorum
Nodes:            2
Node ID:          1
Ring ID:          1.1c
Quorate:          Yes

Votequorum information
----------------------
Expected votes:   4
Highest expected: 4
Total votes:      3
Quorum:           3
Flags:            Quorate Qdevice

Membership information
----------------------
    Nodeid      Votes    Qdevice Name
         1          1    A,V,NMW db-1.example (local)
         2          1    A,V,NMW db-1
         0          1            Qdevice
TEXT
  exit 1 ;;
"crm_node --name") echo db-1.example ;;
"crm_mon "*) cat <<'XML'
<pacemaker-result api-version="2.30" request="crm_mon --one-shot --output-as=xml">
  <summary>
    <stack type="corosync"/>
    <current_dc present="true" version="2.1.5" name="db-1.example" id="1" with_quorum="true" mixed_version="false"/>
  </summary>
  <nodes>
    <node name="db-1.example" id="1" online="true" standby="false" standby_onfail="false" maintenance="false" pending="false" unclean="false" health="green" feature_set="3.17.4" shutdown="false" expected_up="true" is_dc="true" resources_running="1" type="member"/>
    <node name="db-1" id="2" online="true" standby="true" standby_onfail="false" maintenance="false" pending="false" unclean="false" health="green" feature_set="3.17.4" shutdown="false" expected_up="true" is_dc="false" resources_running="0" type="member"/>
    <node name="db-3.example" id="3" online="false" standby="false" standby_onfail="false" maintenance="false" pending="false" unclean="false" health="green" feature_set="3.17.4" shutdown="false" expected_up="false" is_dc="false" resources_running="0" type="member"/>
    <node name="guest" id="guest" online="true" standby="false" standby_onfail="false" maintenance="false" pending="false" unclean="false" shutdown="false" expected_up="false" is_dc="false" resources_running="1" type="remote"/>
  </nodes>
  <resources>
    <clone id="db-clone" multi_state="true" unique="false" maintenance="false" managed="true" failed="false" failure_ignored="false">
      <resource id="db" resource_agent="ocf:heartbeat:pgsql" role="Promoted" active="true" orphaned="false" blocked="false" maintenance="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="1">
        <node name="db-1.example" id="1" cached="true"/>
      </resource>
    </clone>
  </resources>
  <status code="0" message="OK"/>
</pacemaker-result>
XML
  ;;
*) exit 3 ;;
esac
