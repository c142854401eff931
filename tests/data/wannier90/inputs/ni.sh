# ni: run in an empty folder; PSEUDO is the folder of the pseudopotentials
set -e
export OMP_NUM_THREADS=1
# mesh N [w]: the N x N x N points in Wannier90's order, with weights when w is given
mesh() { awk -v n="$1" -v w="$2" 'BEGIN { for (i = 0; i < n; i++) for (j = 0; j < n; j++) for (k = 0; k < n; k++)
  printf "%.10f %.10f %.10f%s\n", i / n, j / n, k / n, w == "" ? "" : sprintf(" %.10f", 1 / n ^ 3) }'; }
N=4; A=1.762
cat > scf.in <<P
&control
 calculation='scf', prefix='ni', outdir='./tmp', pseudo_dir='$PSEUDO', verbosity='high'
/
&system
 ibrav=0, nat=1, ntyp=1, ecutwfc=24, ecutrho=200, noncolin=.true., lspinorb=.true., starting_magnetization(1)=0.4,
 occupations='smearing', smearing='mv', degauss=0.02
/
&electrons
 conv_thr=1e-9, mixing_beta=0.4, diagonalization='cg'
/
ATOMIC_SPECIES
Ni 58.693 Ni.rel-pbe-nd-rrkjus.UPF
CELL_PARAMETERS angstrom
 -$A 0.0 $A
  0.0 $A $A
 -$A $A 0.0
ATOMIC_POSITIONS crystal
Ni 0.00 0.00 0.00
K_POINTS automatic
5 5 5 0 0 0
P
pw.x < scf.in > scf.out
sed -e "s/'scf'/'nscf'/; s/noncolin/nbnd=28, nosym=.true., noinv=.true., noncolin/; /K_POINTS/,\$d" scf.in > nscf.in
echo "K_POINTS crystal" >> nscf.in; echo $((N*N*N)) >> nscf.in; mesh $N w >> nscf.in
pw.x < nscf.in > nscf.out
cat > ni.win <<P
num_wann = 18
num_bands = 28
spinors = true
num_iter = 0
dis_num_iter = 0
dis_froz_max = 16.5
write_hr = true
write_tb = true
write_xyz = true
write_u_matrices = true
bands_plot = true
bands_num_points = 16
begin kpoint_path
L 0.5 0.5 0.5 G 0.0 0.0 0.0
G 0.0 0.0 0.0 X 0.5 0.0 0.5
end kpoint_path
begin projections
Ni : s;p;d
end projections
begin unit_cell_cart
ang
 -$A 0.0 $A
  0.0 $A $A
 -$A $A 0.0
end unit_cell_cart
begin atoms_frac
Ni 0.00 0.00 0.00
end atoms_frac
mp_grid = $N $N $N
begin kpoints
P
mesh $N >> ni.win; echo "end kpoints" >> ni.win
wannier90.x -pp ni
cat > p.in <<P
&inputpp
 prefix='ni', outdir='./tmp', seedname='ni', write_amn=.true., write_mmn=.true., write_spn=.true., spn_formatted=.true.
/
P
pw2wannier90.x < p.in > p.out
wannier90.x ni
