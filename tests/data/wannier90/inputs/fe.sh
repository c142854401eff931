# fe: run in an empty folder; PSEUDO is the folder of the pseudopotentials
set -e
export OMP_NUM_THREADS=1
# mesh N [w]: the N x N x N points in Wannier90's order, with weights when w is given
mesh() { awk -v n="$1" -v w="$2" 'BEGIN { for (i = 0; i < n; i++) for (j = 0; j < n; j++) for (k = 0; k < n; k++)
  printf "%.10f %.10f %.10f%s\n", i / n, j / n, k / n, w == "" ? "" : sprintf(" %.10f", 1 / n ^ 3) }'; }
N=4; A=1.4335
cat > scf.in <<P
&control
 calculation='scf', prefix='fe', outdir='./tmp', pseudo_dir='$PSEUDO', verbosity='high'
/
&system
 ibrav=0, nat=1, ntyp=1, ecutwfc=25, ecutrho=200, nspin=2, starting_magnetization(1)=0.6,
 occupations='smearing', smearing='mv', degauss=0.02
/
&electrons
 conv_thr=1e-9, diagonalization='cg', mixing_beta=0.4
/
ATOMIC_SPECIES
Fe 55.845 Fe.pbe-nd-rrkjus.UPF
CELL_PARAMETERS angstrom
  $A  $A  $A
 -$A  $A  $A
 -$A -$A  $A
ATOMIC_POSITIONS crystal
Fe 0.00 0.00 0.00
K_POINTS automatic
6 6 6 0 0 0
P
pw.x < scf.in > scf.out
sed -e "s/'scf'/'nscf'/; s/nspin=2/nbnd=16, nosym=.true., noinv=.true., nspin=2/; /K_POINTS/,\$d" scf.in > nscf.in
echo "K_POINTS crystal" >> nscf.in; echo $((N*N*N)) >> nscf.in; mesh $N w >> nscf.in
pw.x < nscf.in > nscf.out
for sp in up down; do
cat > fe_$sp.win <<P
num_wann = 9
num_bands = 16
spin = $sp
num_iter = 0
dis_num_iter = 0
dis_froz_max = 14.0
write_hr = true
write_tb = true
write_xyz = true
bands_plot = true
bands_num_points = 16
begin kpoint_path
G 0.0 0.0 0.0 H 0.5 -0.5 0.5
H 0.5 -0.5 0.5 N 0.0 0.0 0.5
N 0.0 0.0 0.5 G 0.0 0.0 0.0
end kpoint_path
begin projections
Fe : s;p;d
end projections
begin unit_cell_cart
ang
  $A  $A  $A
 -$A  $A  $A
 -$A -$A  $A
end unit_cell_cart
begin atoms_frac
Fe 0.00 0.00 0.00
end atoms_frac
mp_grid = $N $N $N
begin kpoints
P
mesh $N >> fe_$sp.win; echo "end kpoints" >> fe_$sp.win
wannier90.x -pp fe_$sp
cat > p_$sp.in <<P
&inputpp
 prefix='fe', outdir='./tmp', seedname='fe_$sp', spin_component='$sp', write_amn=.true., write_mmn=.true.
/
P
pw2wannier90.x < p_$sp.in > p_$sp.out
wannier90.x fe_$sp
done
