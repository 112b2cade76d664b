type shape = Circle of float | Square of float | Named of { name : string; parts : shape list }

let rec area = function
  | Circle r -> 3.14 *. r *. r
  | Square s -> s *. s
  | Named { parts; _ } -> List.fold_left (fun sum part -> sum +. area part) 0. parts

let () = List.iter (fun s -> Printf.printf "%.2f\n" (area s)) [ Circle 1.; Square 2. ]
