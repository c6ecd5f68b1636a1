let a = ;
const = 3
