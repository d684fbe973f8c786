//! Playbooks among the provisioners of a node.

mod common;

use common::{diagnose, loaded};

#[test]
fn playbooks_are_no_steps_of_the_node() {
    let yaml = r#"name: t
nodes:
  a:
    image: debian
    count: 2
    provision:
      - { inline: "true" }
      - ansible: { playbook: setup.sh, groups: [web], extra_vars: { who: "{{ name }}" }, args: [--tags=x] }
        run: always
        env: { A: b }
"#;
    let lab = loaded(yaml, &[]).lab.unwrap();
    assert_eq!(lab.layer.nodes[0].provision.len(), 1);
    let shown: Vec<_> = lab
        .playbooks
        .iter()
        .map(|play| {
            let (node, run) = (&play.node, play.run);
            let (vars, env) = (&play.extra_vars, &play.env);
            let (groups, args) = (&play.groups, &play.args);
            format!(
                "{node} {} {run:?} {groups:?} {vars:?} {args:?} {env:?}",
                play.name
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
a-1 setup.sh Always ["web"] {"who": "a-1"} ["--tags=x"] {"A": "b"}
a-2 setup.sh Always ["web"] {"who": "a-2"} ["--tags=x"] {"A": "b"}
"#);
}

#[test]
fn mistakes_in_playbooks() {
    let yaml = r#"name: t
nodes:
  a:
    image: debian
    provision:
      - { ansible: { playbook: nowhere.yml } }
      - { ansible: { groups: [a-b] } }
      - { ansible: { playbook: setup.sh, groups: [all], tags: x } }
      - { ansible: { playbook: setup.sh }, inline: "true" }
      - { ansible: { playbook: setup.sh }, args: [x] }
"#;
    insta::assert_snapshot!(diagnose(yaml, &[]), @r#"
6:32-43 error[missing-file] `playbook` names a file that does not exist ⟨no /lab/nowhere.yml⟩ (a relative path starts at the folder of the lab file)
7:11-18 error[missing-key] A playbook needs `playbook` ⟨expected `playbook: …` here⟩ (The file; a relative path starts at the lab file)
7:30-36 error[invalid-value] `a-b` cannot be a group of an inventory ⟨letters, digits and `_`, and no word of Ansible's own⟩
8:50-55 error[invalid-value] `all` cannot be a group of an inventory ⟨letters, digits and `_`, and no word of Ansible's own⟩
8:57-61 error[unknown-key] Unknown key `tags` in a playbook ⟨not a key of the lab file here⟩ (did you mean `args`?)
9:11-18 error[exclusive-keys] `ansible` and `inline` exclude each other ⟨expected one of `script`, `inline`, `file`, `ansible`⟩
10:44-48 error[exclusive-keys] `args` means nothing without `script`
"#);
}
