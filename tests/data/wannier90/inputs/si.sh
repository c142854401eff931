# si: run in an empty folder; PSEUDO is the folder of the pseudopotentials
set -e
export OMP_NUM_THREADS=1
# mesh N [w]: the N x N x N points in Wannier90's order, with weights when w is given
mesh() { awk -v n="$1" -v w="$2" 'BEGIN { for (i = 0; i < n; i++) for (j = 0; j < n; j++) for (k = 0; k < n; k++)
  printf "%.10f %.10f %.10f%s\n", i / n, j / n, k / n, w == "" ? "" : sprintf(" %.10f", 1 / n ^ 3) }'; }
N=3
cat > scf.in <<P
&control
 calculation='scf', prefix='si', outdir='./tmp', pseudo_dir='$PSEUDO', verbosity='high'
/
&system
 ibrav=0, nat=2, ntyp=1, ecutwfc=20
/
&electrons
 conv_thr=1e-11
/
ATOMIC_SPECIES
Si 28.0855 Si.pz-vbc.UPF
CELL_PARAMETERS angstrom
 -2.7155 0.0000 2.7155
  0.0000 2.7155 2.7155
 -2.7155 2.7155 0.0000
ATOMIC_POSITIONS crystal
Si 0.00 0.00 0.00
Si 0.25 0.25 0.25
K_POINTS automatic
4 4 4 0 0 0
P
pw.x < scf.in > scf.out
sed -e "s/'scf'/'nscf'/; s/ecutwfc=20/ecutwfc=20, nbnd=12, nosym=.true., noinv=.true./; /K_POINTS/,\$d" scf.in > nscf.in
echo "K_POINTS crystal" >> nscf.in; echo $((N*N*N)) >> nscf.in; mesh $N w >> nscf.in
pw.x < nscf.in > nscf.out
cat > si.win <<P
num_wann = 8
num_bands = 12
num_iter = 100
dis_num_iter = 200
dis_win_max = 17.0
dis_froz_max = 6.4
guiding_centres = true
write_hr = true
write_tb = true
write_xyz = true
bands_plot = true
bands_num_points = 20
begin kpoint_path
L 0.5 0.5 0.5 G 0.0 0.0 0.0
G 0.0 0.0 0.0 X 0.5 0.0 0.5
X 0.5 -0.5 0.0 K 0.375 -0.375 0.0
K 0.375 -0.375 0.0 G 0.0 0.0 0.0
end kpoint_path
begin projections
Si : sp3
end projections
begin unit_cell_cart
ang
 -2.7155 0.0000 2.7155
  0.0000 2.7155 2.7155
 -2.7155 2.7155 0.0000
end unit_cell_cart
begin atoms_frac
Si 0.00 0.00 0.00
Si 0.25 0.25 0.25
end atoms_frac
mp_grid = $N $N $N
begin kpoints
P
mesh $N >> si.win; echo "end kpoints" >> si.win
wannier90.x -pp si
cat > p.in <<P
&inputpp
 prefix='si', outdir='./tmp', seedname='si', write_amn=.true., write_mmn=.true., write_unk=.false.
/
P
pw2wannier90.x < p.in > p.out
wannier90.x si
