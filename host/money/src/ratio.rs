//! Exact multiplication by a ratio, rounded once.

/// How a result that falls between two nanos is made whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest; a tie goes to the even one. The default of the ledger: it has no bias.
    HalfEven,
    /// Towards minus infinity.
    Floor,
    /// Towards plus infinity.
    Ceiling,
}

/// `amount * numerator / denominator`, exact until the one rounding at the end. None when `denominator` is zero or the
/// product leaves 128 bits.
pub fn multiply_divide(amount: i128, numerator: i128, denominator: i128, rounding: Rounding) -> Option<i128> {
    let product = amount.checked_mul(numerator)?;
    let quotient = product.checked_div_euclid(denominator)?;
    let remainder = product.checked_rem_euclid(denominator)?;
    if remainder == 0 {
        return Some(quotient);
    }
    // Euclid's remainder is never negative: for a positive denominator `quotient` is the floor, for a negative one
    // the ceiling.
    let (floor, above) = match denominator > 0 {
        true => (quotient, remainder.cmp(&(denominator - remainder))),
        false => (
            quotient.checked_sub(1)?,
            (-(denominator + remainder)).cmp(&remainder),
        ),
    };
    let up = match rounding {
        Rounding::Floor => false,
        Rounding::Ceiling => true,
        Rounding::HalfEven => match above {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => floor.rem_euclid(2) == 1,
        },
    };
    floor.checked_add(i128::from(up))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_even_neighbour() {
        let half = |n| multiply_divide(n, 1, 2, Rounding::HalfEven);
        assert_eq!(
            [half(1), half(3), half(5), half(-1), half(-3)],
            [Some(0), Some(2), Some(2), Some(0), Some(-2)]
        );
    }

    #[test]
    fn every_sign_and_direction_by_hand() {
        // 7/3 = 2.33, -7/3 = -2.33, 8/3 = 2.67, -8/3 = -2.67
        for (n, d, half, floor, ceiling) in [
            (7, 3, 2, 2, 3),
            (-7, 3, -2, -3, -2),
            (8, 3, 3, 2, 3),
            (-8, 3, -3, -3, -2),
            (7, -3, -2, -3, -2),
            (8, -3, -3, -3, -2),
        ] {
            assert_eq!(
                multiply_divide(n, 1, d, Rounding::HalfEven),
                Some(half),
                "{n}/{d}"
            );
            assert_eq!(multiply_divide(n, 1, d, Rounding::Floor), Some(floor), "{n}/{d}");
            assert_eq!(
                multiply_divide(n, 1, d, Rounding::Ceiling),
                Some(ceiling),
                "{n}/{d}"
            );
        }
    }

    #[test]
    fn the_largest_ratios_round_too() {
        // All but one of the largest number's parts, then one of them, then none to speak of, of a negative whole.
        for (n, d, half, floor, ceiling) in [
            (i128::MAX - 1, i128::MAX, 1, 0, 1),
            (1, i128::MAX, 0, 0, 1),
            (1, i128::MIN, 0, -1, 0),
            (i128::MAX, i128::MIN, -1, -1, 0),
            // -2^126 of -2^127: exactly a half, and the even neighbour is 0.
            (i128::MIN / 2, i128::MIN, 0, 0, 1),
            (i128::MIN / -2, i128::MIN, 0, -1, 0),
        ] {
            for (rounding, expected) in [
                (Rounding::HalfEven, half),
                (Rounding::Floor, floor),
                (Rounding::Ceiling, ceiling),
            ] {
                assert_eq!(multiply_divide(n, 1, d, rounding), Some(expected), "{n}/{d}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_none() {
        assert_eq!(multiply_divide(1, 1, 0, Rounding::Floor), None);
        assert_eq!(multiply_divide(i128::MAX, 2, 1, Rounding::Floor), None);
    }
}
