//! Makes the stock cloud image of the stories, if it is not there yet, and prints where it
//! is: for `scripts/bench`.

fn main() {
    let image = nestlab_e2e::stock_image(&nestlab_e2e::World::new());
    println!("{}", image.display());
}
