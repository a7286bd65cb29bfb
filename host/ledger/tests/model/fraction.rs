//! Exact fractions, small enough for 128 bits.

#[derive(Debug, Clone, Copy)]
pub struct Fraction {
    over: i128,
    under: i128,
}

impl Fraction {
    pub fn new(over: i128, under: i128) -> Fraction {
        let divisor = greatest_common_divisor(over.abs(), under);
        Fraction {
            over: over / divisor,
            under: under / divisor,
        }
    }

    pub fn minus(self, other: Fraction) -> Fraction {
        Fraction::new(
            self.over * other.under - other.over * self.under,
            self.under * other.under,
        )
    }

    pub fn times(self, factor: i128) -> Fraction {
        Fraction::new(self.over * factor, self.under)
    }

    /// The nearest whole number; of two equally near ones the even one.
    pub fn half_to_even(self) -> i128 {
        let floor = self.over.div_euclid(self.under);
        let twice_rest = 2 * (self.over - floor * self.under);
        if twice_rest > self.under || (twice_rest == self.under && floor % 2 != 0) {
            floor + 1
        } else {
            floor
        }
    }
}

fn greatest_common_divisor(a: i128, b: i128) -> i128 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}
