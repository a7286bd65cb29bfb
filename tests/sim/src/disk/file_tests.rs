use rand::SeedableRng as _;

use super::*;

fn random() -> SmallRng {
    SmallRng::seed_from_u64(7)
}

#[test]
fn what_was_synced_stays_and_the_rest_is_one_of_its_writes() {
    let mut seen = [false; 3];
    for seed in 0..200 {
        let mut file = Contents::default();
        file.write(&[1; 8192], 0);
        file.sync_all();
        file.write(&[2; 512], 0);
        file.write(&[3; 512], 0);
        file.cut(&mut SmallRng::seed_from_u64(seed));
        let bytes = file.read_all();
        assert_eq!(bytes.len(), 8192);
        assert!(
            bytes[512..].iter().all(|byte| *byte == 1),
            "what was not written again stays"
        );
        let sector = bytes[0];
        assert!(
            bytes[..512].iter().all(|byte| *byte == sector),
            "a sector is written whole"
        );
        seen[usize::from(sector) - 1] = true;
    }
    assert_eq!(seen, [true; 3], "each of the three happens");
}

#[test]
fn a_size_is_kept_by_a_full_sync_alone() {
    let mut short = 0;
    for seed in 0..50 {
        let mut file = Contents::default();
        file.write(&[1; 4096], 0);
        file.sync_data();
        file.cut(&mut SmallRng::seed_from_u64(seed));
        short += usize::from(file.size() == 0);
    }
    assert!((1..50).contains(&short), "{short} of 50");
}

#[test]
fn after_a_failed_sync_another_one_saves_nothing() {
    let mut lost = 0;
    for seed in 0..50 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut file = Contents::default();
        file.write(&[1; 4096], 0);
        file.sync_all();
        file.write(&[2; 4096], 0);
        file.fail_sync(&mut random);
        assert_eq!(file.read_all()[0], 2, "the cache has it");
        file.sync_all();
        file.forget_clean();
        lost += usize::from(file.read_all()[0] == 1);
    }
    assert!((1..50).contains(&lost), "{lost} of 50");
}

#[test]
fn writing_a_lost_page_again_saves_it() {
    let mut file = Contents::default();
    file.write(&[2; 4096], 0);
    file.fail_sync(&mut random());
    file.write(&[2; 4096], 0);
    file.sync_all();
    file.cut(&mut random());
    assert_eq!(file.read_all(), [2; 4096]);
}
